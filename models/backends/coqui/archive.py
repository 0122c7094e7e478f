"""Archives of released models: checked by their digest, unpacked within bounds."""

from __future__ import annotations

import hashlib
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from config.errors import Unavailable

MAX_FILES = 1000
MAX_BYTES = 16 * 2**30
MAX_RATIO = 50
"""Weights hardly shrink: what grows more than so many times was made to."""


def read_digest(file: Path) -> str | None:
    """Read the digest of the archive that was unpacked first under this name; None for none."""
    try:
        return file.read_text().strip()
    except OSError:
        return None


def check_digest(name: str, archive: Path, expected: str | None) -> str:
    """Return the archive's SHA-256. Raises `Unavailable` (`digest_mismatch`), and deletes the
    archive, where another was expected."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if expected and digest != expected.lower():
        archive.unlink()
        raise Unavailable(
            f"The archive of '{name}' is not the one that is pinned, and was deleted. Where it was "
            "replaced rightly, correct `digests` of the back end coqui in models.yaml, or delete "
            "its .sha256 file.",
            code="digest_mismatch",
            details={"source": name, "wanted": expected, "found": digest},
        )
    return digest


def unpack(archive: Path, folder: Path) -> None:
    """Unpack all files of the archive into the folder, which appears when it is whole.

    The archive is then deleted, also where it is refused. Raises `Unavailable`
    ("digest_mismatch") for one that is broken, too large, or holds what no model has.
    """
    beside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry, name in _checked_entries(opened):
                # As the library does: whatever folders are in it, the files lie side by side.
                with opened.open(entry) as source, (beside / name).open("xb") as target:
                    shutil.copyfileobj(source, target)
        beside.rename(folder)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise Unavailable(
            f"What was downloaded for {folder.name} cannot be used, and is deleted: {error}.",
            code="digest_mismatch",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        archive.unlink(missing_ok=True)


def _checked_entries(opened: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, str]]:
    """List the files with their names. Raises `ValueError` for what no model has.

    An entry never unpacks to more than it declares: `zipfile` stops there.
    """
    files = [entry for entry in opened.infolist() if not entry.is_dir()]
    if len(files) > MAX_FILES:
        raise ValueError(f"it has {len(files)} files, and {MAX_FILES} are the most")
    size = sum(entry.file_size for entry in files)
    packed = sum(entry.compress_size for entry in files)
    if size > MAX_BYTES or size > MAX_RATIO * max(packed, 1):
        raise ValueError(f"{packed} bytes in it would become {size}")
    names = [_checked_name(entry) for entry in files]
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("two of its files have the same name")
    return list(zip(files, names, strict=True))


def _checked_name(entry: zipfile.ZipInfo) -> str:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    mode = entry.external_attr >> 16
    if path.is_absolute() or ".." in path.parts or ":" in entry.filename or not path.name:
        raise ValueError(f"it has a file named '{entry.filename[:80]}'")
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise ValueError(f"'{entry.filename[:80]}' is a link or a device")
    if entry.flag_bits & 1:
        raise ValueError(f"'{entry.filename[:80]}' is encrypted")
    return path.name
