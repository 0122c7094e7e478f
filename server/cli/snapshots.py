"""Snapshots of indexes, between a file here and the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from config.errors import Invalid, MotetError, NotFound
from config.settings import Settings
from server.cli.client import connect, download, read_answer
from server.cli.file_names import temporary_path


async def export_index(settings: Settings, name: str, file: Path) -> int:
    """Write the index to `file`, whole or not at all; gives its size in bytes.

    Raises `NotFound` (`file_not_found`) for a folder that is not there, `Invalid` (`invalid_path`)
    where `file` is one.
    """
    if file.is_dir():
        raise Invalid(f"'{file}' is a folder: name the file to write.", code="invalid_path")
    if not file.parent.is_dir():
        raise NotFound(f"There is no folder '{file.parent}'.", code="file_not_found")
    part = temporary_path(file.parent)
    try:
        async with connect(settings) as client:
            await download(client, f"/indexes/{quote(name, safe='')}/export", part)
        return part.replace(file).stat().st_size
    finally:
        part.unlink(missing_ok=True)


async def import_index(settings: Settings, file: Path, name: str | None) -> Any:
    """Make an index of `file`, which is uploaded where the service cannot read it itself.

    Raises `NotFound` (`file_not_found`).
    """
    if not file.is_file():
        raise NotFound(f"There is no file '{file}'.", code="file_not_found")
    async with connect(settings) as client:
        # A service elsewhere has other files.
        if settings.server_url is None:
            try:
                return await _import_by_path(client, file, name)
            except MotetError as error:
                if error.code != "forbidden":
                    raise
        return await _import_by_upload(client, file, name)


async def _import_by_path(client: httpx.AsyncClient, file: Path, name: str | None) -> Any:
    body = {"path": str(file.resolve()), "name": name}
    return await read_answer(await client.post("/indexes/import", json=body))


async def _import_by_upload(client: httpx.AsyncClient, file: Path, name: str | None) -> Any:
    form = {"name": name} if name else {}
    with file.open("rb") as opened:
        files = {"file": (file.name, opened)}
        return await read_answer(await client.post("/indexes/import", data=form, files=files))
