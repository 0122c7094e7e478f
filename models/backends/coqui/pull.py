"""Gets a released model of coqui-tts: from the Hub, or the archive that its library names."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import httpx2

from config.errors import NotFound, Unavailable
from models.backends.coqui.sources import Release, explain_unknown, is_released, released
from models.driver import Progress
from models.pulls.hub import HubPuller

SILENCE_S = 60.0
PARTIAL, NOTHING_LEFT = 206, 416
"""HTTP statuses of an answer to a range, and to one beyond the end."""


async def pull(source: str, progress: Progress) -> None:
    """Pull as `Puller.pull` does: a released name with its vocoder, or a repository."""
    if is_released(source):
        release = released(source)
        if release is None:
            raise NotFound(
                explain_unknown(source), code="model_not_found", details={"field": "source"}
            )
        await get(release, progress)
        if release.vocoder:
            await pull(release.vocoder, progress)
    else:
        await HubPuller().pull(source, progress)


async def get(release: Release, progress: Progress) -> None:
    """Get one released model alone."""
    if release.license:
        progress({"status": f"license: {release.license}"})
    if release.repository:
        await HubPuller().pull(release.repository, progress)
    elif release.folder is None:
        if release.url is None:
            why = f"coqui-tts names no place where '{release.name}' is."
            raise Unavailable(why, code="model_missing", details={"source": release.name})
        folder = release.archive_folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = folder.with_name(f"{folder.name}.zip.part")
        await fetch(release.url, archive, progress)
        progress({"status": "unpacking"})
        await asyncio.to_thread(unpack, archive, folder)


async def fetch(url: str, file: Path, progress: Progress) -> None:
    """Download, going on where a part is there. Raises `Unavailable` (`download_failed`)."""
    have = file.stat().st_size if file.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        async with httpx2.AsyncClient(follow_redirects=True, timeout=SILENCE_S) as client:
            async with client.stream("GET", url, headers=headers) as answer:
                if answer.status_code == NOTHING_LEFT:
                    return  # all of it is there
                answer.raise_for_status()
                await _save(answer, file, have, progress)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unavailable(
            f"{url} cannot be had: {error or type(error).__name__}",
            code="pull_failed",
            details={"url": url},
        ) from error


async def _save(answer: httpx2.Response, file: Path, have: int, progress: Progress) -> None:
    goes_on = answer.status_code == PARTIAL
    done = have if goes_on else 0
    total = done + int(answer.headers.get("content-length", 0))
    with file.open("ab" if goes_on else "wb") as opened:
        async for piece in answer.aiter_bytes():
            opened.write(piece)
            done += len(piece)
            progress({"status": f"pulling {answer.url.host}", "completed": done, "total": total})


def unpack(archive: Path, folder: Path) -> None:
    """Unpack all files of the archive into the folder, which appears when it is whole.

    The archive is then deleted, also where it is broken. Raises `Unavailable` ("digest_mismatch").
    """
    beside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                # As the library does: whatever folders are in it, the files lie side by side.
                if not entry.is_dir():
                    with opened.open(entry) as source:
                        with (beside / PurePosixPath(entry.filename).name).open("wb") as target:
                            shutil.copyfileobj(source, target)
        beside.rename(folder)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise Unavailable(
            f"What was downloaded for {folder.name} is broken, and deleted: pull it again.",
            code="digest_mismatch",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        archive.unlink(missing_ok=True)
