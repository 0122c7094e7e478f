"""The data folder as its owner's alone: made, checked, and closed to others.

Owns which folders are refused and which modes its files have. Invariants: nothing is written into a
folder of another user; only what Motet names itself is changed in one that holds other files too.
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.errors import Unavailable
from config.files import REASONS

log = logging.getLogger(__name__)

OTHERS = stat.S_IRWXG | stat.S_IRWXO
OWN_NAMES = (
    *("runs.db", "runs.db-wal", "runs.db-shm", "indexes", "artifacts", "exchange", "saved"),
    *("agents", "tools", "lock", "address", "owner-token", "needs.json", "pulls.json"),
    *("models.yaml", "indexes.yaml", "motet.yaml"),
)
"""What Motet writes in the data folder, or reads there as its own."""
HOW_TO_CHOOSE = "Choose another folder with --home or MOTET_HOME."


@contextmanager
def private_files() -> Iterator[None]:
    """Make every file and folder that this process creates its owner's alone, until the exit."""
    umask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(umask)


def prepare_private_folder(home: Path) -> None:
    """Make the data folder where it is missing, and close it to others; blocks.

    Raises `Unavailable` (`data_folder_unusable`) where it is no folder, is another user's, is
    shared, or cannot be made: its parent must be there, or a disk that is not mounted would be
    taken for an empty one.
    """
    with explain_folder(home):
        if not home.parent.exists():
            raise unusable(
                home,
                f"the folder {home.parent} is not there. Is its disk mounted? If it is to be new, "
                f"make it: mkdir -p {home.parent}",
            )
        with suppress(FileExistsError):
            home.mkdir(mode=0o700)
        status = home.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise unusable(home, f"it is a file. {HOW_TO_CHOOSE}")
        if status.st_uid != os.geteuid():
            raise unusable(
                home,
                f"it belongs to {_user_name(status.st_uid)}, and Motet runs as "
                f"{_user_name(os.geteuid())}. Start it as that user, give the folder to this one "
                "(chown), or name another folder, such as a new one inside.",
            )
        if status.st_mode & stat.S_ISVTX:
            raise unusable(home, "it is shared by all users. Name a folder of its own in it.")
        if status.st_mode & OTHERS:
            _close_to_others(home)


@contextmanager
def explain_folder(home: Path) -> Iterator[None]:
    """Raise `Unavailable` (`data_folder_unusable`) for each `OSError` within."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0) or error.strerror or "the disk refuses it"
        where = f" ({error.filename})" if error.filename not in (None, str(home)) else ""
        raise unusable(home, f"{reason}{where}. {HOW_TO_CHOOSE}") from error


def unusable(home: Path, reason: str) -> Unavailable:
    """Return the error of a folder that cannot be the data folder."""
    return Unavailable(
        f"The data folder {home} cannot be used: {reason}".rstrip(".") + ".",
        code="data_folder_unusable",
    )


def _close_to_others(home: Path) -> None:
    """Take all rights of others from the folder, and from what is Motet's in it."""
    before = stat.S_IMODE(home.stat().st_mode)
    try:
        home.chmod(before & ~OTHERS)
    except OSError as error:
        log.warning("the data folder %s stays open to others: %s", home, error.strerror)
        return
    after = stat.S_IMODE(home.stat().st_mode)
    if after & OTHERS:  # a file system without modes takes the change and forgets it
        log.warning("the data folder %s stays open to others: mode %04o", home, after)
        return
    for name in OWN_NAMES:
        for path in _walk(home / name):
            _close_path(path)
    log.warning("the data folder %s was open to others: mode %04o, now %04o", home, before, after)


def _walk(path: Path) -> Iterator[Path]:
    """Yield a path and all below it, without following links."""
    if not os.path.lexists(path):
        return
    yield path
    for folder, folders, files in os.walk(path):
        yield from (Path(folder, name) for name in (*folders, *files))


def _close_path(path: Path) -> None:
    # What is another user's, or gone meanwhile, is behind the closed folder anyway.
    with suppress(OSError):
        mode = path.lstat().st_mode
        if mode & OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def _user_name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
