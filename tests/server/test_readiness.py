"""Whether the disk takes a file: looked at once for a while, told by a code, logged once."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.readiness import DiskProbe
from tests.support.full_disk import largest_file


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("room_bytes", [0, 1000, 60_000])
async def test_disk_without_room_refuses_until_there_is_some(
    tmp_path: Path, room_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    probe = DiskProbe(tmp_path, clock)
    assert await probe.refusal() is None

    with largest_file(room_bytes):
        clock.now_s += 2
        full = await probe.refusal()
        clock.now_s += 2
        again = await probe.refusal()
    clock.now_s += 2

    assert full is not None
    assert full.code == "storage_full"
    assert again is full
    assert await probe.refusal() is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert list(tmp_path.iterdir()) == []


async def test_one_look_answers_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    probe = DiskProbe(tmp_path, clock)
    assert await probe.refusal() is None

    tmp_path.rmdir()

    assert await probe.refusal() is None
    clock.now_s += 2
    gone = await probe.refusal()
    assert gone is not None
    assert gone.code == "storage_failed"


async def test_folder_in_the_place_of_the_one_that_was_opened_is_refused(tmp_path: Path) -> None:
    clock = Clock()
    home = tmp_path / "home"
    home.mkdir()
    probe = DiskProbe(home, clock)
    home.rename(tmp_path / "moved")
    home.mkdir()

    refusal = await probe.refusal()

    assert refusal is not None
    assert "another stands in its place" in refusal.message
    home.rmdir()
    (tmp_path / "moved").rename(home)
    clock.now_s += 2
    assert await probe.refusal() is None
