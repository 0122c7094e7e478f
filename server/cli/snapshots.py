"""Snapshots of indexes, between a file here and the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from config.errors import MotetError, NotFound
from config.settings import Settings
from server.cli.client import answer, connect, failure


async def export_index(settings: Settings, name: str, file: Path) -> int:
    """Write the index to `file`, whole or not at all; its size in bytes."""
    part = file.with_name(f"{file.name}.part")
    try:
        async with connect(settings) as client:
            async with client.stream("GET", f"/indexes/{name}/export") as response:
                if response.is_error:
                    raise await failure(response)
                with part.open("wb") as written:
                    async for chunk in response.aiter_bytes():
                        written.write(chunk)
        return part.replace(file).stat().st_size
    finally:
        part.unlink(missing_ok=True)


async def import_index(settings: Settings, file: Path, name: str | None) -> Any:
    """The index made of `file`, which is uploaded where the service cannot read it itself."""
    if not file.is_file():
        raise NotFound(f"There is no file '{file}'.", code="file_not_found")
    async with connect(settings) as client:
        if settings.server_url is None:
            try:
                return await _named(client, file, name)
            except MotetError as error:
                if error.code != "forbidden":
                    raise
        return await _uploaded(client, file, name)


async def _named(client: httpx.AsyncClient, file: Path, name: str | None) -> Any:
    body = {"path": str(file.resolve()), "name": name}
    return await answer(await client.post("/indexes/import", json=body))


async def _uploaded(client: httpx.AsyncClient, file: Path, name: str | None) -> Any:
    form = {"name": name} if name else {}
    with file.open("rb") as opened:
        files = {"file": (file.name, opened)}
        return await answer(await client.post("/indexes/import", data=form, files=files))
