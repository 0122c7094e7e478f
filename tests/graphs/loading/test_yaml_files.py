"""A folder's files are read when they are new or have changed, and at no other time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from graphs.loading.yaml_files import RACY_NS, SourceReader, list_files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An agent's file that was written some time ago."""
    file = tmp_path / "one.yaml"
    file.write_text("name: one")
    age(file)
    return file


def age(file: Path) -> None:
    long_ago_ns = time.time_ns() - 10 * RACY_NS
    os.utime(file, ns=(long_ago_ns, long_ago_ns))


def text(reader: SourceReader, folder: Path) -> str:
    sources, _ = reader.read(folder, "own")
    return sources["one"].text


def test_a_file_that_has_not_changed_is_not_read_again(file: Path) -> None:
    reader = SourceReader()

    first, _ = reader.read(file.parent, "own")
    second, _ = reader.read(file.parent, "own")

    assert second["one"] is first["one"]


def test_a_file_of_another_size_is_read_again(file: Path) -> None:
    reader = SourceReader()
    text(reader, file.parent)

    file.write_text("name: other")
    age(file)

    assert text(reader, file.parent) == "name: other"


def test_a_file_that_another_one_replaced_is_read_again(file: Path) -> None:
    reader = SourceReader()
    text(reader, file.parent)

    new = file.with_name("new")
    new.write_text("name: two")
    os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    new.replace(file)

    assert text(reader, file.parent) == "name: two"


def test_a_file_that_changes_twice_within_a_tick_of_the_clock_is_read_twice(file: Path) -> None:
    now_ns = time.time_ns()
    os.utime(file, ns=(now_ns, now_ns))
    reader = SourceReader()
    text(reader, file.parent)

    with file.open("r+") as opened:
        opened.write("name: two")
    os.utime(file, ns=(now_ns, now_ns))

    assert text(reader, file.parent) == "name: two"


def test_a_file_that_cannot_be_read_is_a_problem_and_no_agent(file: Path) -> None:
    file.write_bytes(b"\xff")

    sources, problems = SourceReader().read(file.parent, "own")

    assert not sources
    assert list(problems) == [str(file)]


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list_files(tmp_path / "none") == []
