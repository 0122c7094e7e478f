"""Two hundred streams at once: every one whole, and no memory kept for those that ended."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx

from tests.support.forked import ForkedServer
from tests.support.service import AGENTS, TIMEOUT, assert_complete, read_events

CLIENTS = 200
ROUNDS = 2
MIB = 2**20
GROWTH_BYTES = 24 * MIB
"""What a round may leave: the allocator's slack, far below what 200 logs would take."""


async def test_two_hundred_clients_each_have_their_whole_stream(tmp_path: Path) -> None:
    shutil.copytree(AGENTS, tmp_path / "agents", ignore=shutil.ignore_patterns("__pycache__"))
    server = ForkedServer(tmp_path)
    await server.start()
    try:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=CLIENTS)
        async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT, limits=limits) as client:
            await one_round(client)
            settled = server.process.memory_info().rss
            grown = []
            for _ in range(ROUNDS):
                await one_round(client)
                grown.append(server.process.memory_info().rss - settled)
            print(
                f"\nRSS {settled / MIB:.0f} MiB after a round of {CLIENTS} runs; then "
                f"{', '.join(f'{more / MIB:+.1f}' for more in grown)} MiB"
            )
            assert (await client.get("/ready")).json()["active_runs"] == 0
            listed = (await client.get("/runs", params={"limit": 1000})).json()["runs"]
            assert {run["status"] for run in listed} == {"finished"}
        assert grown[-1] < GROWTH_BYTES
    finally:
        await server.stop()


async def one_round(client: httpx.AsyncClient) -> None:
    """All clients run the same agent at once, and each has its own run's every event."""
    streams = await asyncio.gather(*(streamed(client, number) for number in range(CLIENTS)))
    assert len({run_id for run_id, _ in streams}) == CLIENTS
    for number, (run_id, events) in enumerate(streams):
        assert_complete(events)
        assert {event["run_id"] for _, event in events} == {run_id}
        assert events[-1][1]["data"]["output"]["x"] == number + 5


async def streamed(
    client: httpx.AsyncClient, number: int
) -> tuple[str, list[tuple[int, dict[str, Any]]]]:
    body = {"input": {"x": number}}
    async with client.stream("POST", "/agents/paced/run", json=body) as stream:
        assert stream.status_code == 200
        run_id = stream.headers["content-location"].removeprefix("/runs/")
        return run_id, await read_events(stream)
