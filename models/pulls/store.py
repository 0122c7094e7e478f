"""The file of pulls: what a restart needs to know of them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from models.pulls.job import PullJob, PullState

log = logging.getLogger(__name__)

MAX_JOBS = 100
"""The latest that are stored."""


def read_jobs(file: Path) -> list[PullJob]:
    """Read the jobs of the last service; those that were under way become interrupted."""
    try:
        jobs = [PullJob.from_dict(stored) for stored in json.loads(file.read_text("utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s cannot be read and is begun anew: %s", file, error)
        return []
    for job in jobs:
        if job.under_way:
            job.end(PullState.INTERRUPTED)
    return jobs


def write_jobs(file: Path, jobs: Iterable[PullJob]) -> None:
    """Replace the file in one step. A folder that cannot be written costs the memory of pulls."""
    latest = sorted(jobs, key=lambda job: job.started_at)[-MAX_JOBS:]
    fresh = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps([job.as_dict() for job in latest], indent=1), "utf-8")
        os.replace(fresh, file)
    except OSError as error:
        log.warning("%s cannot be written: %s", file, error)
