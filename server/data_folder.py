"""The data folder: which process has it, and where that answers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import Conflict

ADDRESS_FILE = "address"
"""In the data folder: the URL of the server that has it, for commands beside it."""


@contextmanager
def lock_data_folder(home: Path) -> Iterator[None]:
    """Keep the data folder for this process: two would run every unfinished run twice."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise Conflict(
                f"The data folder {home} is in use by process {lock.read().strip() or '?'}. Stop "
                "it, or choose another folder with --home or MOTET_HOME.",
                code="data_folder_in_use",
            ) from error
        (home / ADDRESS_FILE).unlink(missing_ok=True)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def running(home: Path) -> str | None:
    """The address of the server that holds the data folder."""
    file = home / ADDRESS_FILE
    if not file.is_file() or not (home / "lock").is_file():
        return None
    with (home / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return file.read_text()
    return None
