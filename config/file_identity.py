"""Telling a file or folder from another that stands under its name later."""

from __future__ import annotations

from pathlib import Path

LOST = "its file was moved, deleted or replaced; the former one back, or a restart, mends it"


class FileIdentity:
    """The file or folder that has a name now.

    What is open goes on being written after it was moved away or deleted, and is lost with it.
    Raises `OSError` where none has the name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _identify(path)

    def is_lost(self) -> bool:
        """Tell whether another has the name now, or none. Takes two microseconds."""
        try:
            return _identify(self._path) != self._known
        except OSError:
            return True


def _identify(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
