"""The data folder: which process has it, and where that one's server answers.

Invariant: one process at a time has the folder, and only that process writes to it. The lock is
the operating system's, so it goes with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import Conflict
from config.files import remove_path
from server.private_folder import (
    explain_folder,
    prepare_private_folder,
    private_files,
    unusable,
)

LOCK_FILE = "lock"
ADDRESS_FILE = "address"
"""In the data folder: the URL of the server that has it, for commands beside it."""
MAX_ADDRESS_BYTES = 1024


@contextmanager
def lock_data_folder(home: Path, still_used: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Lock the data folder for this process, made where it is missing.

    On exit the lock stays with the process, until its end, if the folder is `still_used`.

    Until the exit, all that this process writes is its owner's alone. Raises `Conflict`
    (`data_folder_in_use`) at once where another process has the lock, and `Unavailable`
    (`data_folder_unusable`) for a folder that cannot be written or is another user's.
    """
    prepare_private_folder(home)
    with private_files():
        descriptor = _open_locked(home)
        try:
            yield
        finally:
            # A function of users that nobody can end may still act: a second process must wait.
            if not still_used():
                os.close(descriptor)


def server_address(home: Path) -> str | None:
    """Read the address of the server that has the data folder; None where none has it.

    The lock decides, not the file: a killed server leaves its file. Raises `Unavailable`
    (`data_folder_unusable`) where the folder or the address cannot be read.
    """
    file = home / ADDRESS_FILE
    with explain_folder(home):
        if not file.is_file() or not (home / LOCK_FILE).is_file():
            return None
        with (home / LOCK_FILE).open() as lock:
            try:
                # Shared, so that commands do not exclude each other; it is dropped with the file.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read_address(home, file)
    return None


def _open_locked(home: Path) -> int:
    """Lock the folder and write down who has it; return the descriptor that holds the lock."""
    with explain_folder(home):
        # Not truncated: the file names the process that has the lock.
        descriptor = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A killed server left its address behind; ours is written once it listens.
            remove_path(home / ADDRESS_FILE)
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise Conflict(
                f"The data folder {home} is in use by process {holder or '?'}. Stop "
                "it, or choose another folder with --home or MOTET_HOME.",
                code="data_folder_in_use",
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


def _read_address(home: Path, file: Path) -> str | None:
    with file.open("rb") as opened:
        address = opened.read(MAX_ADDRESS_BYTES).decode(errors="replace").strip()
    if not address:
        return None  # the server is about to write it
    if not address.startswith("http://") or not address.isprintable():
        raise unusable(home, f"the file {file} holds no address. Start its server again")
    return address
