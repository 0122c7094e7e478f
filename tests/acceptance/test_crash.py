"""`kill -9` of the server at any moment of a run loses nothing and tells nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.service import AGENTS, assert_complete, open_client, read_events

# The numbers of the events after which the server is killed: at the very start, as each kind of
# step begins and ends, early and late while one speaks, and just before the end.
MOMENTS = (1, 2, 3, 4, 10, 25, 36, 38, 55, 72)


async def test_a_run_survives_a_server_killed_at_ten_moments(tmp_path: Path) -> None:
    server = ForkedServer(tmp_path, agents=str(AGENTS))
    cut: list[tuple[str, list[tuple[int, dict[str, Any]]]]] = []
    for moment in MOMENTS:
        await server.start()
        if cut:
            await check_the_rest(server, *cut[-1])
        cut.append(await start_and_read(server, moment))
        await server.kill()
    await server.start()
    await check_the_rest(server, *cut[-1])
    await server.stop()


async def test_many_runs_under_way_at_a_kill_all_come_to_their_end(tmp_path: Path) -> None:
    server = ForkedServer(tmp_path, agents=str(AGENTS))
    await server.start()
    async with open_client(server.url) as client:
        accepted = []
        for _ in range(20):
            body = {"input": {"x": 0}, "background": True}
            response = await client.post("/agents/paced/run", json=body)
            assert response.status_code == 202
            accepted.append(response.headers["location"])
    await server.kill()
    await server.start()
    async with open_client(server.url) as client:
        for address in accepted:
            async with client.stream("GET", f"{address}/events") as stream:
                assert_complete(await read_events(stream))
    await server.stop()


async def start_and_read(
    server: ServerProcess, moment: int
) -> tuple[str, list[tuple[int, dict[str, Any]]]]:
    async with open_client(server.url) as client:
        body = {"input": {"x": 0}, "on_disconnect": "continue"}
        async with client.stream("POST", "/agents/paced/run", json=body) as stream:
            address = stream.headers["content-location"]
            return address, await read_events(stream, until=moment)


async def check_the_rest(
    server: ServerProcess, address: str, seen: list[tuple[int, dict[str, Any]]]
) -> None:
    last = {"Last-Event-ID": str(seen[-1][0])}
    async with open_client(server.url) as client:
        async with client.stream("GET", f"{address}/events", headers=last) as stream:
            rest = await read_events(stream)
        run = (await client.get(address)).json()
    assert_complete([*seen, *rest])
    assert run["status"] == "finished"
    assert run["output"] == {"x": 5, "log": ["one", "two", "three", "four", "five"]}
