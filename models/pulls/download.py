"""Gets single files: goes on where an earlier try was cut off, within the declared size, checked.

Owns the partial file beside the final one. Which address is asked, and which answers are errors,
is the caller's. Invariant: a file has its final name once its bytes are on the disk and have the
digest that was declared; nothing is written beyond the declared size.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import httpx2

from config.errors import Unavailable
from config.files import storage_errors, sync_path
from models.pulls.files import RemoteFile, digest_of
from models.pulls.progress import PullProgress

TRIES = 2
"""Downloads of a file whose digest is wrong."""
MAX_CUTS = 5
"""Connections in a row that bring nothing, after which a download has failed."""
FIRST_PAUSE_S = 0.25
"""After the first of them; doubled after each."""
SPARE_BYTES = 256 * 2**20
"""Left free on a disk, for everything else."""
PART_SUFFIX = ".motet.incomplete"
WHOLE, PARTIAL, BEYOND_END = 200, 206, 416
"""HTTP statuses of answers to a range."""

OpenAnswer = Callable[[Mapping[str, str]], AbstractContextManager[httpx2.Response]]
"""Asks for a file with more headers. Raises what is no answer, but for the statuses above."""


def fetch_file(
    file: RemoteFile, final: Path, open_answer: OpenAnswer, progress: PullProgress
) -> None:
    """Get a file, unless it is here. Blocks.

    Raises `Unavailable`: `digest_mismatch` for bytes that are not what was declared, which are
    deleted; `pull_failed` where the connection breaks again and again; `storage_full` and the like.
    """
    with storage_errors("A file of the model"):
        if _is_whole(final, file, progress):
            return
        final.unlink(missing_ok=True)
        final.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(final)
        for _ in range(TRIES):
            _complete(file, part, open_answer, progress)
            digest = digest_of(part, file, progress.check)
            if digest == file.digest:
                _publish(part, final)
                return
            part.unlink()
    raise Unavailable(
        f"{file.path} arrived damaged {TRIES} times; it was deleted. Try again later.",
        code="digest_mismatch",
        details={"file": file.path, "wanted": file.digest, "found": digest},
    )


def part_of(final: Path) -> Path:
    """Return the file that grows until it gets its final name."""
    return final.with_name(f"{final.name}{PART_SUFFIX}")


def require_room(folder: Path, files: Iterable[tuple[RemoteFile, Path]]) -> None:
    """Raise `Unavailable` (`storage_full`) where the disk cannot take what is not here yet."""
    missing_bytes = sum(
        file.size - min(_size(part_of(final)), file.size)
        for file, final in files
        if _size(final) != file.size
    )
    disk = next(each for each in (folder, *folder.parents) if each.exists())
    free_bytes = shutil.disk_usage(disk).free
    if missing_bytes and missing_bytes + SPARE_BYTES > free_bytes:
        raise Unavailable(
            f"The model takes {missing_bytes / 10**9:.1f} GB of disk, and "
            f"{free_bytes / 10**9:.1f} GB are free where it goes. Free some space.",
            code="storage_full",
            details={"needed_bytes": missing_bytes, "free_bytes": free_bytes},
        )


def _is_whole(final: Path, file: RemoteFile, progress: PullProgress) -> bool:
    """Tell whether a file is here; reads all of it, for its name alone is only a promise."""
    return (
        final.is_file()
        and final.stat().st_size == file.size
        and digest_of(final, file, progress.check) == file.digest
    )


def _complete(
    file: RemoteFile, part: Path, open_answer: OpenAnswer, progress: PullProgress
) -> None:
    part.touch()
    cuts, error = 0, None
    while (before := _size(part)) != file.size:
        try:
            _append(file, part, open_answer, progress)
        except httpx2.TransportError as broken:
            error = broken
        cuts = 0 if _size(part) > before else cuts + 1
        if cuts == MAX_CUTS:
            reason = str(error) or type(error).__name__ if error else "the answers are too short"
            raise Unavailable(
                f"{file.path} cannot be had: {reason}. What is here is kept for the next pull.",
                code="pull_failed",
                details={"file": file.path},
            ) from error
        if cuts:
            time.sleep(FIRST_PAUSE_S * 2 ** (cuts - 1))


def _append(file: RemoteFile, part: Path, open_answer: OpenAnswer, progress: PullProgress) -> None:
    start = _size(part)
    if start > file.size:
        os.truncate(part, 0)
        start = 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    with (
        open_answer({"Accept-Encoding": "identity", **headers}) as answer,
        part.open("ab") as target,
    ):
        if answer.status_code == BEYOND_END:
            raise _wrong_size(file, part)
        if answer.status_code != PARTIAL:  # the whole file, as servers answer that know no ranges
            target.truncate(0)
            start = 0
        progress.resume_at(start)
        left_bytes = file.size - start
        for piece in answer.iter_bytes():
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise _wrong_size(file, part)
            target.write(piece)
            progress.update(len(piece))


def _wrong_size(file: RemoteFile, part: Path) -> Unavailable:
    part.unlink()
    return Unavailable(
        f"{file.path} has not the {file.size} bytes that were declared; it was deleted.",
        code="digest_mismatch",
        details={"file": file.path, "size": file.size},
    )


def _publish(part: Path, final: Path) -> None:
    # In this order: a name that survives a power loss must not lead to bytes that did not.
    sync_path(part)
    os.replace(part, final)
    sync_path(final.parent)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
