"""Files that pass through the server on their way in or out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.files import remove_path


class TempFiles:
    """A folder beside the data: large files have as much room there, and are renamed, not copied.

    What an earlier process left in the folder is removed.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "exchange"
        remove_path(self._folder)
        self._folder.mkdir(parents=True)

    @contextmanager
    def reserve_path(self) -> Iterator[Path]:
        """Give a path for one file, which is removed on exit."""
        path = self._folder / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
