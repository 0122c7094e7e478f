"""Files are written in threads, one write at a time, with the last text at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path

import pytest

from config.file_writer import FileWriter

BOUND_S = 120.0


async def test_last_text_is_in_the_file_after_many(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "file")

    for number in range(100):
        writer.write(f"text {number}")
    await writer.wait_written()

    assert (tmp_path / "file").read_text() == "text 99"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


async def test_text_given_while_another_is_written_is_written_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go, sync = threading.Event(), threading.Event(), os.fsync

    def wait(descriptor: int) -> None:
        reached.set()
        go.wait(BOUND_S)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", wait)
    writer = FileWriter(tmp_path / "file")

    writer.write("first")
    await asyncio.to_thread(reached.wait, BOUND_S)
    writer.write("second")
    go.set()
    await writer.wait_written()

    assert (tmp_path / "file").read_text() == "second"


async def test_no_write_holds_up_the_event_loop(
    tmp_path: Path, sync_threads: list[threading.Thread]
) -> None:
    writer = FileWriter(tmp_path / "file")

    writer.write("text")
    await writer.close()

    assert sync_threads
    assert threading.main_thread() not in sync_threads


async def test_disk_that_refuses_is_logged_and_the_next_text_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("a file where the folder must be")
    writer = FileWriter(tmp_path / "folder" / "file")

    writer.write("first")
    await writer.wait_written()
    (tmp_path / "folder").unlink()
    writer.write("second")
    await writer.close()

    assert (tmp_path / "folder" / "file").read_text() == "second"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
