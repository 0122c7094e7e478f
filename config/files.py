"""Files beside the databases: replaced whole or not at all, and what the disk refuses in words.

Owns the one way in which such a file is written, and the error codes of a disk that does not take
it. What a file holds is its users'.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config.errors import Unavailable

log = logging.getLogger(__name__)

DAMAGED_SUFFIX = ".damaged"
"""Added to the name of a file that could not be read, when it is set aside."""

_FULL = {errno.ENOSPC: "no space is left on the disk", errno.EDQUOT: "the disk quota is used up"}
_FULL[errno.EFBIG] = "it would be larger than a file may be here"
_READ_ONLY = {errno.EROFS: "the disk is read-only"}
_DENIED = dict.fromkeys((errno.EACCES, errno.EPERM), "the permissions do not allow it")
_FAILED = {
    errno.EIO: "the disk has a fault",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ENOENT: "it is not there",
    errno.ESTALE: "another stands in its place; the former one back, or a restart, mends it",
    errno.ENOTDIR: "a file is where a folder must be",
    errno.EEXIST: "a file is where a folder must be",
    errno.EISDIR: "a folder is where a file must be",
    errno.ELOOP: "links lead in a circle",
}
REASONS: Mapping[int, str] = _FULL | _READ_ONLY | _DENIED | _FAILED
"""What an error number of the system says of a disk, without any path."""


def storage_error(error: OSError, subject: str, verb: str = "written") -> Unavailable:
    """Explain what the disk refused, and log it; the message holds no path of this machine.

    Returns `Unavailable` (`storage_full`, `storage_read_only`, `storage_denied`, `storage_failed`).
    """
    number = error.errno or 0
    incident = {"incident": secrets.token_hex(4)}
    log.error("incident %s: %s cannot be %s: %s", incident["incident"], subject, verb, error)
    message = f"{subject} cannot be {verb}: {REASONS.get(number, 'the disk refuses it')}."
    if number in _FULL:
        return Unavailable(message, code="storage_full", details=incident)
    if number in _READ_ONLY:
        return Unavailable(message, code="storage_read_only", details=incident)
    if number in _DENIED:
        return Unavailable(message, code="storage_denied", details=incident)
    return Unavailable(message, code="storage_failed", details=incident)


@contextmanager
def storage_errors(subject: str, verb: str = "written") -> Iterator[None]:
    """Raise `storage_error` for each `OSError` within."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, subject, verb) from error


def read_file(path: Path) -> bytes:
    """Read a file. Raises `OSError`, also for what is none: reading a pipe would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            number = errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO
            raise OSError(number, "not a file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def read_text(path: Path) -> str:
    """Read a text in UTF-8, with `\\n` between its lines. Raises as `read_file` does, and
    `UnicodeDecodeError`."""
    return read_file(path).decode().replace("\r\n", "\n").replace("\r", "\n")


def replace_file(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write a file in one step: readers see the old bytes or the new, never half of them.

    The folder is made where it is missing. The file is readable by its owner alone. On return it
    survives a killed process, with `durable` a power loss. Raises `OSError`, and leaves the old
    file then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic within one file system only. The name begins
    # with a dot, so that whoever lists the folder in between leaves it alone.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(name, path)
        if durable:
            sync_path(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def set_aside(path: Path, reason: object) -> None:
    """Rename a file that cannot be read, or a folder in its place, and log it; never raises.

    What was set aside under this name before is replaced.
    """
    beside = path.with_name(path.name + DAMAGED_SUFFIX)
    try:
        if path.is_dir() or beside.is_dir():
            beside = beside.with_name(f"{beside.name}-{path.lstat().st_mtime_ns}")
        os.replace(path, beside)
        log.warning("%s is damaged and set aside as %s: %s", path, beside.name, reason)
    except OSError as error:
        log.warning("%s is damaged (%s) and cannot be set aside: %s", path, reason, error)


def remove_path(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_path(path: Path) -> None:
    """Write a file's bytes, or a folder's entries, through to the disk. Blocks for the fsync.

    A file that was renamed into place survives a power loss once its folder is synced.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
