"""A real server process over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from benchmarks.server import ServerProcess

AGENTS = Path(__file__).parent / "agents"
TIMEOUT = httpx.Timeout(60.0)


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """One server for every test that leaves it alive."""
    server = ServerProcess(tmp_path_factory.mktemp("home"), agents=str(AGENTS), drain_s="1")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT) as client:
        yield client


async def read_events(
    response: httpx.Response, until: int | None = None
) -> list[tuple[int, dict[str, Any]]]:
    """(id, data) of a stream's events, to its end or until one has this number.

    A server that dies ends the stream too.
    """
    events: list[tuple[int, dict[str, Any]]] = []
    number = 0
    try:
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                events.append((number, orjson.loads(line[6:])))
                if until is not None and number >= until:
                    break
    except httpx.RemoteProtocolError:
        pass
    return events
