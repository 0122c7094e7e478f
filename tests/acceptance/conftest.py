"""A real server process over real HTTP."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.service import AGENTS, open_client
from tests.support.socket_gate import SocketGate, open_socket_gate
from tests.support.webhook_receiver import ReceiverProcess

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
        spare_worker="true",
        folders=json.dumps([str(tmp_path_factory.getbasetemp())]),
        allowed_networks='["127.0.0.1/32"]',
        max_body_bytes=str(MAX_BODY_BYTES),
        max_upload_bytes=str(MAX_UPLOAD_BYTES),
    )
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(server.url) as client:
        yield client


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[SocketGate]:
    async with open_socket_gate(tmp_path) as gate:
        yield gate


@pytest.fixture
async def receiver() -> AsyncIterator[ReceiverProcess]:
    """A receiver of webhooks in a process of its own; a test may kill and start it."""
    receiver = ReceiverProcess()
    await receiver.start()
    yield receiver
    await receiver.kill()
