"""How the command line reaches Motet: the server that has the data folder, or one of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from config.errors import MotetError, Unavailable
from config.settings import Settings
from server.data_folder import server_address

TIMEOUT = httpx.Timeout(30.0, read=None)


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    id: str
    type: str
    data: dict[str, Any]


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server that the settings name, of the one that runs on the data folder, or
    of one that lives as long as the client.

    Either way the same routes answer, so a command works beside `motet serve` and without it.
    """
    if url := settings.server_url or server_address(settings.home):
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False) as client:
            yield client
        return
    # Commands that only talk to a running server must not pay for the application's imports.
    from server.serving import serve_on_socket

    with tempfile.TemporaryDirectory(prefix="motet-") as folder:
        path = Path(folder) / "socket"
        async with serve_on_socket(settings, path):
            transport = httpx.AsyncHTTPTransport(uds=str(path))
            async with httpx.AsyncClient(
                base_url="http://motet", transport=transport, timeout=TIMEOUT
            ) as client:
                yield client


async def answer(response: httpx.Response) -> Any:
    """The JSON of a response; raises the error that it tells of."""
    if response.is_error:
        raise await failure(response)
    return orjson.loads(response.content) if response.content else None


async def failure(response: httpx.Response) -> MotetError:
    """The error that a response tells of."""
    content = await response.aread()
    try:
        body = orjson.loads(content)["error"]
        return MotetError.from_dict(body)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Unavailable(f"The server answered {response.status_code}.", code="invalid_response")


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    """The events of a stream, as they come. Raises the error where there is none."""
    if response.is_error:
        raise await failure(response)
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            data = orjson.loads(fields["data"])
            yield Event(fields.get("id", ""), fields.get("event", "message"), data)
            fields = {}
