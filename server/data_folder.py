"""The data folder: which process has it, and where that one's server answers.

Invariant: one process at a time has the folder, and only that process writes to it. The lock is
the operating system's, so it goes with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import Conflict

LOCK_FILE = "lock"
ADDRESS_FILE = "address"
"""In the data folder: the URL of the server that has it, for commands beside it."""


@contextmanager
def lock_data_folder(home: Path) -> Iterator[None]:
    """Lock the data folder for this process, made where it is missing.

    Raises `Conflict` (`data_folder_in_use`) at once where another process has the lock.
    """
    home.mkdir(parents=True, exist_ok=True)
    # Append mode: opening must not empty the file, which names the process that has the lock.
    with (home / LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise Conflict(
                f"The data folder {home} is in use by process {lock.read().strip() or '?'}. Stop "
                "it, or choose another folder with --home or MOTET_HOME.",
                code="data_folder_in_use",
            ) from error
        # A killed server left its address behind; ours is written once it listens.
        (home / ADDRESS_FILE).unlink(missing_ok=True)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def server_address(home: Path) -> str | None:
    """Read the address of the server that has the data folder; None where none has it.

    The lock decides, not the file: a killed server leaves its file.
    """
    file = home / ADDRESS_FILE
    if not file.is_file() or not (home / LOCK_FILE).is_file():
        return None
    with (home / LOCK_FILE).open() as lock:
        try:
            # Shared, so that commands do not exclude each other; it is dropped with the file.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return file.read_text()
    return None
