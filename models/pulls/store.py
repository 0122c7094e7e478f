"""The file of pulls: what a restart needs to know of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from config.file_writer import FileWriter
from config.files import read_file, set_aside
from models.pulls.job import PullJob, PullState

MAX_JOBS = 100
"""The latest that are stored."""
_FORMAT = TypeAdapter(list[PullJob])


def read_jobs(file: Path) -> list[PullJob]:
    """Read the jobs of the last service; those that were under way become interrupted.

    A file that cannot be read is set aside.
    """
    try:
        jobs = _FORMAT.validate_json(read_file(file))
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        set_aside(file, type(error).__name__)
        return []
    for job in jobs:
        if job.under_way:
            job.end(PullState.INTERRUPTED)
    return jobs


def write_jobs(writer: FileWriter, jobs: Iterable[PullJob]) -> None:
    """Begin to write the file. A folder that cannot be written costs the memory of pulls."""
    latest = sorted(jobs, key=lambda job: job.started_at)[-MAX_JOBS:]
    writer.write(json.dumps([job.as_dict() for job in latest], indent=1))
