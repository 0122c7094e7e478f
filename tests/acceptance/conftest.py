"""A real server process over real HTTP."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from benchmarks.server import ServerProcess
from tests.acceptance.gates import Gate, new_gate

AGENTS = Path(__file__).parent / "agents"
TIMEOUT = httpx.Timeout(60.0)
MAX_BODY_BYTES = 256 * 1024
MAX_UPLOAD_BYTES = 1024 * 1024


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """One server for every test that leaves it alive; own agents go to a folder of its own."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(AGENTS, home / "agents", ignore=shutil.ignore_patterns("__pycache__"))
    server = ServerProcess(
        home,
        drain_s="1",
        heartbeat_s="0.2",
        allowed_networks='["127.0.0.1/32"]',
        max_body_bytes=str(MAX_BODY_BYTES),
        max_upload_bytes=str(MAX_UPLOAD_BYTES),
    )
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT) as client:
        yield client


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    async with new_gate(tmp_path) as gate:
        yield gate


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


def types_of(events: list[tuple[int, dict[str, Any]]]) -> list[str]:
    """The types of events, in order."""
    return [event["type"] for _, event in events]


def error_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error of an answer, which must have this status and code."""
    body = response.json()
    assert (response.status_code, body["error"]["code"]) == (status, code), body
    error: dict[str, Any] = body["error"]
    return error
