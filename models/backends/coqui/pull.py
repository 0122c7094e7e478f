"""Gets a released model of coqui-tts: from the Hub, or the archive that its library names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from types import MappingProxyType

import httpx2

from config.errors import Invalid, NotFound, Unavailable
from config.lost_connections import translate_lost
from models.backends.coqui.archive import check_digest, read_digest, unpack
from models.backends.coqui.sources import (
    WHY_UNSAFE,
    Release,
    explain_unknown,
    is_released,
    is_unsafe_name,
    released,
)
from models.driver import Progress
from models.pulls.hub import HubPuller

SILENCE_S = 60.0
PARTIAL, NOTHING_LEFT = 206, 416
"""HTTP statuses of an answer to a range, and to one beyond the end."""


async def pull(
    source: str, progress: Progress, digests: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Pull as `Puller.pull` does: a released name with its vocoder, or a repository.

    `digests` pins the SHA-256 of archives, by released name.
    """
    if is_released(source):
        if is_unsafe_name(source):
            raise Invalid(
                f"'{source}' is not pulled: {WHY_UNSAFE}",
                code="not_pullable",
                details={"field": "source"},
            )
        release = released(source)
        if release is None:
            raise NotFound(
                explain_unknown(source), code="model_not_found", details={"field": "source"}
            )
        await get(release, progress, digests.get(release.name))
        if release.vocoder:
            await pull(release.vocoder, progress, digests)
    else:
        # The library knows no other form of weights, and reads them with a check.
        await HubPuller(allow_pickles=True).pull(source, progress)


async def get(release: Release, progress: Progress, pinned: str | None = None) -> None:
    """Get one released model alone."""
    if release.license:
        progress({"status": f"license: {release.license}"})
    if release.repository:
        await HubPuller(allow_pickles=True).pull(release.repository, progress)
    elif release.folder is None:
        if release.url is None:
            why = f"coqui-tts names no place where '{release.name}' is."
            raise Unavailable(why, code="model_missing", details={"source": release.name})
        folder = release.archive_folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = folder.with_name(f"{folder.name}.zip.part")
        await fetch(release.url, archive, progress)
        progress({"status": "unpacking"})
        await asyncio.to_thread(_check_and_unpack, release.name, archive, folder, pinned)


def _check_and_unpack(name: str, archive: Path, folder: Path, pinned: str | None) -> None:
    known = folder.with_name(f"{folder.name}.sha256")
    digest = check_digest(name, archive, pinned or read_digest(known))
    unpack(archive, folder)
    known.write_text(digest)


async def fetch(url: str, file: Path, progress: Progress) -> None:
    """Download, going on where a part is there. Raises `Unavailable` (`download_failed`)."""
    have = file.stat().st_size if file.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        async with httpx2.AsyncClient(follow_redirects=True, timeout=SILENCE_S) as client:
            request = client.build_request("GET", url, headers=headers)
            with translate_lost(httpx2):
                answer = await client.send(request, stream=True)
            async with aclosing(answer):
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
