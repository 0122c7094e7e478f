"""What happens to files on a bad day: each way makes one unusable, and each the same each time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

from config.files import remove_path


def cut(path: Path) -> None:
    """Leave the first half, as a write that was not finished does."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flip(path: Path) -> None:
    """Change a bit in each 100 bytes or so, as a worn disk does."""
    data, chance = bytearray(path.read_bytes()), random.Random(path.name)
    for _ in range(1 + len(data) // 100 if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_folder(path: Path) -> None:
    remove_path(path)
    path.mkdir()
    (path / "inside").write_text("in the way")


def make_unreadable(path: Path) -> None:
    """Replace the file by a link to itself: unlike a mode, it stops root too."""
    remove_path(path)
    path.symlink_to(path.name)


WAYS: Mapping[str, Callable[[Path], None]] = {
    "cut": cut,
    "flipped": flip,
    "emptied": empty,
    "a folder": replace_by_folder,
    "unreadable": make_unreadable,
}
