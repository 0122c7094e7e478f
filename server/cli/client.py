"""How the command line reaches Motet: the server that has the data folder, or one of its own.

Either way the same routes answer, so a command works beside `motet serve` and without it.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from config.errors import MotetError, Unavailable
from config.settings import Settings
from config.text_streams import read_lines
from server.data_folder import server_address
from server.owner_token import owner_headers

TIMEOUT = httpx.Timeout(30.0, read=None)
"""Seconds for connecting and sending; reading has no bound, since a run may take hours."""
SSE_TYPE = "text/event-stream"


@dataclass(frozen=True)
class ServerEvent:
    """One server-sent event."""

    id: str
    type: str
    data: dict[str, Any]


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of a server: the one that the settings name, or that runs on the data folder.

    Where there is none, a server in this process lives as long as the client. Raises `Unavailable`
    (`service_unreachable`) where the connection cannot be made or breaks.
    """
    try:
        async with _open_client(settings) as client:
            yield client
    except httpx.TransportError as error:
        raise Unavailable(
            f"The service cannot be reached any more: {str(error) or type(error).__name__}. See "
            "whether it runs, and its log.",
            code="service_unreachable",
        ) from error


@asynccontextmanager
async def _open_client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    if url := settings.server_url or server_address(settings.home):
        # Only to the server that the data folder names: its owner's secret is no one else's.
        headers = {} if settings.server_url else owner_headers(settings.home)
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False
        ) as client:
            yield client
        return
    # Commands that only talk to a running server must not pay for the application's imports.
    from server.serving import serve_on_socket

    with tempfile.TemporaryDirectory(prefix="motet-") as folder:
        path = Path(folder) / "socket"
        async with serve_on_socket(settings, path):
            transport = httpx.AsyncHTTPTransport(uds=str(path))
            async with httpx.AsyncClient(
                base_url="http://motet",
                headers=owner_headers(settings.home),
                transport=transport,
                timeout=TIMEOUT,
            ) as client:
                yield client


async def read_answer(response: httpx.Response) -> Any:
    """Read the JSON of a response; None where it has no body. Raises the error that it holds."""
    if response.is_error:
        raise await read_error(response)
    return orjson.loads(response.content) if response.content else None


async def read_error(response: httpx.Response) -> MotetError:
    """Read the error that a response holds.

    What answers without our envelope is not Motet: `Unavailable` (`invalid_response`).
    """
    content = await response.aread()
    try:
        return MotetError.from_dict(orjson.loads(content)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Unavailable(f"The server answered {response.status_code}.", code="invalid_response")


async def read_events(response: httpx.Response) -> AsyncIterator[ServerEvent]:
    """Read the events of a stream, as they come. Raises the error where there is no stream."""
    if response.is_error:
        raise await read_error(response)
    fields: dict[str, str] = {}
    async for line in read_lines(response.aiter_bytes()):
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:  # an empty line ends an event; comments have no data
            data = orjson.loads(fields["data"])
            yield ServerEvent(fields.get("id", ""), fields.get("event", "message"), data)
            fields = {}


async def follow_work(
    client: httpx.AsyncClient,
    path: str,
    on_progress: Callable[[dict[str, Any]], None],
    **request: Any,
) -> dict[str, Any]:
    """Post a request for long work, report its progress, and read its result.

    Raises the error of the work, and `Unavailable` (`invalid_response`) where the stream ends
    without a result.
    """
    headers = {"Accept": SSE_TYPE}
    async with client.stream("POST", path, headers=headers, **request) as response:
        async for event in read_events(response):
            match event.type:
                case "progress":
                    on_progress(event.data)
                case "failed":
                    raise MotetError.from_dict(event.data)
                case "finished":
                    return event.data
    raise Unavailable("The server ended the answer early.", code="invalid_response")


async def download(client: httpx.AsyncClient, url: str, file: Path) -> None:
    """Write what a URL holds to a new file. Raises its error; the file is then incomplete."""
    async with client.stream("GET", url) as response:
        # A redirect is none of our answers, and may lead anywhere.
        if not response.is_success:
            raise await read_error(response)
        with file.open("xb") as opened:
            async for chunk in response.aiter_bytes():
                opened.write(chunk)
