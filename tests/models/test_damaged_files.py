"""Files in which models are remembered: one that is damaged is set aside, and begun anew."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.file_writer import FileWriter
from models.estimates_file import load_estimates, save_estimates
from models.pulls.job import PullJob, PullState
from models.pulls.store import read_jobs, write_jobs
from models.scheduling.memory_estimates import MemoryEstimates

JOB = PullJob("ollama", "tiny", PullState.DONE).as_dict()
DAMAGES: dict[str, bytes | None] = {
    "truncated": json.dumps([JOB]).encode()[:-20],
    "empty": b"",
    "binary": b"\xff\xfe\x00" * 99,
    "not JSON": b"hello",
    "null": b"null",
    "a text": b'"x"',
    "numbers": b"[1, 2]",
    "deep": b"[" * 100_000,
    "wrong types": json.dumps([JOB | {"started_at": "today"}]).encode(),
    "wrong state": json.dumps([JOB | {"state": "sleeping"}]).encode(),
    "a folder": None,
    "a pipe": b"pipe",
}


def damage(file: Path, content: bytes | None) -> None:
    if content is None:
        file.mkdir()
    elif content == b"pipe":
        os.mkfifo(file)
    else:
        file.write_bytes(content)


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("read", [read_jobs, load_estimates])
def test_damaged_file_is_set_aside_and_logged(
    tmp_path: Path,
    read: Callable[[Path], object],
    content: bytes | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "remembered.json"
    damage(file, content)

    read(file)

    assert not file.exists()
    assert len(list(tmp_path.glob("remembered.json.damaged*"))) == 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "hello" not in record.getMessage()


async def test_pulls_are_remembered_again_after_damage(tmp_path: Path) -> None:
    file = tmp_path / "pulls.json"
    file.mkdir()

    jobs = read_jobs(file)
    writer = FileWriter(file)
    write_jobs(writer, [*jobs, PullJob("ollama", "tiny", PullState.DONE)])
    await writer.close()

    assert [job.name for job in read_jobs(file)] == ["ollama/tiny"]


async def test_pull_under_way_is_read_as_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "pulls.json"
    writer = FileWriter(file)
    write_jobs(writer, [PullJob("ollama", "tiny", PullState.RUNNING)])
    await writer.close()

    (job,) = read_jobs(file)

    assert job.state is PullState.INTERRUPTED


async def test_estimates_that_the_disk_refuses_cost_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder must be")
    estimates = MemoryEstimates()
    estimates.changed = True

    writer = FileWriter(tmp_path / "home" / "needs.json")
    save_estimates(writer, estimates)
    await writer.close()

    assert (tmp_path / "home").read_text() == "a file where the folder must be"
