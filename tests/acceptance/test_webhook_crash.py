"""A webhook arrives though its receiver, or the server, is killed at any moment."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.service import AGENTS, open_client
from tests.support.webhook_receiver import ReceiverProcess

KEY = b"0123456789abcdef01234567"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server that may post to this machine; a test may kill and start it."""
    server = ForkedServer(
        tmp_path,
        agents=str(AGENTS),
        allowed_networks='["127.0.0.1/32"]',
        webhook_secret=f"whsec_{base64.b64encode(KEY).decode()}",
    )
    await server.start()
    yield server
    await server.stop()


async def run_with(server: ServerProcess, webhook: str) -> str:
    """Run an agent to its end; the run's path."""
    async with open_client(server.url) as client:
        body = {"input": {"x": 0}, "stream": False, "webhook": webhook}
        run = (await client.post("/agents/quick/run", json=body)).json()
    assert run["status"] == "finished", run
    return f"/runs/{run['run_id']}"


async def webhook_of(server: ServerProcess, path: str) -> dict[str, Any]:
    async with open_client(server.url) as client:
        shown: dict[str, Any] = (await client.get(path)).json()["webhook"]
    return shown


def assert_signed(call: dict[str, Any], path: str) -> None:
    headers, run_id = call["headers"], path.removeprefix("/runs/")
    signed = f"{run_id}.{headers['webhook-timestamp']}.".encode() + orjson.dumps(call["body"])
    digest = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-id"] == call["body"]["run_id"] == run_id
    assert headers["webhook-signature"] == f"v1,{digest}"


async def test_a_call_comes_to_a_receiver_that_was_down_and_started_again(
    server: ServerProcess, receiver: ReceiverProcess
) -> None:
    await receiver.kill()
    path = await run_with(server, receiver.url)
    while (await webhook_of(server, path)).get("attempts", 0) < 1:
        pass
    await receiver.start()

    call = await receiver.next_call()

    assert_signed(call, path)
    assert call["body"]["output"] == {"x": 3, "log": ["one", "two", "three"]}
    while (shown := await webhook_of(server, path))["state"] == "pending":
        pass
    assert (shown["state"], shown["attempts"], shown["status"]) == ("delivered", 2, 204)


async def test_a_call_whose_receiver_is_killed_before_its_answer_is_made_again(
    server: ServerProcess, receiver: ReceiverProcess
) -> None:
    await receiver.kill()
    await receiver.start(silent=1)
    path = await run_with(server, receiver.url)
    first = await receiver.next_call()
    await receiver.kill()
    await receiver.start()

    second = await receiver.next_call()

    assert_signed(first, path)
    assert_signed(second, path)
    assert first["body"] == second["body"]


async def test_a_server_killed_between_a_call_and_its_note_makes_it_again_and_then_no_more(
    server: ServerProcess, receiver: ReceiverProcess
) -> None:
    await receiver.kill()
    await receiver.start(silent=1)
    path = await run_with(server, receiver.url)
    first = await receiver.next_call()
    await server.kill()

    await server.start()
    second = await receiver.next_call()
    while (shown := await webhook_of(server, path))["state"] == "pending":
        pass

    assert_signed(second, path)
    assert first["body"] == second["body"]
    assert shown["state"] == "delivered"
    await server.kill()
    await server.start()
    again = await run_with(server, receiver.url)
    third = await receiver.next_call()
    assert third["body"]["run_id"] == again.removeprefix("/runs/")


async def test_a_call_waits_over_kills_of_both_for_the_receiver(
    server: ServerProcess, receiver: ReceiverProcess
) -> None:
    await receiver.kill()
    path = await run_with(server, receiver.url)
    for _ in range(2):
        await server.kill()
        await server.start()
        assert (await webhook_of(server, path))["state"] == "pending"
    await receiver.start()

    assert_signed(await receiver.next_call(), path)
