"""The server as a process: what it imports, how it starts, stops and refuses to start."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.server import ROOT, ServerProcess
from tests.support.forked import ForkedServer
from tests.support.service import (
    AGENTS,
    assert_complete,
    begin_gated_run,
    error_of,
    open_client,
    read_events,
    run_to_end,
    shouting_agent,
    types_of,
)
from tests.support.socket_gate import SocketGate

HEAVY = ["torch", "transformers", "tokenizers", "txtai", "faiss", "diffusers", "TTS", "scipy"]
MIB = 2**20
MAX_IDLE_RSS_BYTES = 200 * MIB


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server that the test may stop and start, with a long grace for steps at work."""
    shutil.copytree(AGENTS, tmp_path / "agents", ignore=shutil.ignore_patterns("__pycache__"))
    server = ServerProcess(tmp_path, drain_s="20")
    yield server
    await server.stop()


async def test_the_server_starts_fast_and_small(own_server: ServerProcess) -> None:
    began = time.perf_counter()
    await own_server.start()
    ready_s = time.perf_counter() - began
    rss = own_server.process.memory_info().rss
    print(f"\nready in {ready_s:.2f} s, idle RSS {rss / MIB:.0f} MiB")
    assert rss < MAX_IDLE_RSS_BYTES


async def test_the_server_never_imports_what_belongs_to_workers(client: httpx.AsyncClient) -> None:
    await client.post("/indexes", json={"name": "imports"})
    document = {"text": "Cats sleep a lot.", "source": "cats.md"}
    await client.post("/indexes/imports/documents", json=document)
    sure = {"names": [*HEAVY, "langgraph", "asyncio"], "index": "imports", "query": "who sleeps?"}
    run = await run_to_end(client, "modules", sure)
    assert run["output"]["passages"] == 1
    assert run["output"]["found"] == ["asyncio", "langgraph"]


async def test_a_signal_drains_and_the_run_continues_at_the_next_start(
    own_server: ServerProcess, gate: SocketGate
) -> None:
    await own_server.start()
    async with open_client(own_server.url) as client:
        body = {"input": {"gate": gate.path}}
        async with client.stream("POST", "/agents/gated/run", json=body) as stream:
            address = stream.headers["content-location"]
            await gate.knocked()
            stopping = asyncio.create_task(own_server.stop())
            await refused(client, gate)
            gate.open()
            told = await read_events(stream)
        assert await stopping == 0
    # The step that was at work has ended; the one behind it has not begun.
    assert types_of(told)[-1] == "step.finished"
    assert told[-1][1]["node"] == "hold"
    assert not (own_server.home / "address").exists()
    await own_server.start()
    async with open_client(own_server.url) as client:
        last = {"Last-Event-ID": str(told[-1][0])}
        async with client.stream("GET", f"{address}/events", headers=last) as stream:
            rest = await read_events(stream)
        run = (await client.get(address)).json()
    assert [number for number, _ in [*told, *rest]] == list(range(1, len(told) + len(rest) + 1))
    assert types_of(rest) == ["run.started", "step.started", "step.finished", "run.finished"]
    assert rest[0][1]["data"]["reason"] == "recovered"
    assert run["output"]["log"] == ["before", "hold", "after"]


async def test_a_step_that_outlasts_the_grace_is_cancelled_and_runs_again(
    tmp_path: Path, gate: SocketGate
) -> None:
    server = ForkedServer(tmp_path, agents=str(AGENTS), drain_s="0.2")
    await server.start()
    async with open_client(server.url) as client:
        address = await begin_gated_run(client, gate)
    assert await server.stop() == 0
    await gate.left()
    gate.open()
    await server.start()
    async with open_client(server.url) as client:
        async with client.stream("GET", f"{address}/events") as stream:
            events = await read_events(stream)
    again = [e for _, e in events if e["type"] == "step.started" and e["node"] == "hold"]
    assert [event["attempt"] for event in again] == [1, 2]
    assert types_of(events)[-1] == "run.finished"
    assert await server.stop() == 0


async def test_queued_and_waiting_runs_survive_a_restart(tmp_path: Path) -> None:
    server = ForkedServer(tmp_path, agents=str(AGENTS))
    await server.start()
    key = {"Idempotency-Key": "once"}
    body = {"input": {"x": 1}, "stream": False}
    async with open_client(server.url) as client:
        waiting = await run_to_end(client, "asking", {"draft": "hello"})
        first = (await client.post("/agents/quick/run", json=body, headers=key)).json()
    assert waiting["status"] == "waiting"
    await server.kill()
    await server.start()
    async with open_client(server.url) as client:
        again = (await client.post("/agents/quick/run", json=body, headers=key)).json()
        answer = {"answer": "yes", "stream": False}
        path = f"/runs/{waiting['run_id']}/resume"
        resumed = (await client.post(path, json=answer)).json()
    assert again == first
    assert resumed["output"]["verdict"] == "yes"
    assert resumed["output"]["log"] == ["write", "ask", "close"]
    await server.stop()


async def test_many_streams_end_cleanly_at_a_signal(tmp_path: Path) -> None:
    server = ForkedServer(tmp_path, agents=str(AGENTS), drain_s="5")
    await server.start()
    async with open_client(server.url) as client:
        began = asyncio.Semaphore(0)
        streams = [asyncio.create_task(cut_off(client, began)) for _ in range(20)]
        for _ in streams:
            await began.acquire()
        assert await server.stop() == 0
        told = await asyncio.gather(*streams)
    await server.start()
    async with open_client(server.url) as client:
        for address, events in told:
            last = {"Last-Event-ID": str(events[-1][0])}
            async with client.stream("GET", f"{address}/events", headers=last) as stream:
                assert_complete([*events, *await read_events(stream)])
    await server.stop()


async def test_a_data_folder_has_one_server(server: ServerProcess) -> None:
    status, said = await motet("serve", "--port", "0", "--home", str(server.home))
    assert status == 1
    assert f"in use by process {server.process.pid}" in said
    assert "MOTET_HOME" in said
    assert "Traceback" not in said
    async with open_client(server.url) as client:
        assert (await client.get("/health")).status_code == 200


async def test_a_taken_port_is_a_clear_error(server: ServerProcess, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    status, said = await motet("serve", "--port", port, "--home", str(tmp_path))
    assert status == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in said
    assert "--port" in said
    assert "Traceback" not in said


async def test_an_open_address_is_refused_without_keys(tmp_path: Path) -> None:
    status, said = await motet("serve", "--host", "0.0.0.0", "--home", str(tmp_path))
    assert status == 1
    assert "0.0.0.0" in said
    assert "trust_network" in said


async def cut_off(
    client: httpx.AsyncClient, began: asyncio.Semaphore
) -> tuple[str, list[tuple[int, dict[str, object]]]]:
    body = {"input": {"x": 0}, "on_disconnect": "continue"}
    async with client.stream("POST", "/agents/paced/run", json=body) as stream:
        began.release()
        return stream.headers["content-location"], await read_events(stream)


async def refused(client: httpx.AsyncClient, gate: SocketGate) -> None:
    """Wait until the server accepts no run any more."""
    async with asyncio.timeout(240):
        while True:
            body = {"input": {"x": 0}, "stream": False}
            response = await client.post("/agents/quick/run", json=body)
            if response.status_code != 200:
                error_of(response, 503, "shutting_down")
                assert response.headers["retry-after"]
                return


async def motet(*arguments: str) -> tuple[int, str]:
    """Run the command line; its exit status and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", *arguments),
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_pages_of_other_sites_are_refused_on_every_address_too(tmp_path: Path) -> None:
    """As in a container: the published port is the host's, and browsers of the host reach it."""
    settings = {"host": "0.0.0.0", "trust_network": "true"}
    server = ForkedServer(tmp_path, **settings, allowed_origins='["https://motet.example"]')
    await server.start()
    yaml = shouting_agent("planted")
    async with open_client(server.url) as client:
        foreign = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        error_of(await client.post("/agents", content=yaml, headers=foreign), 403, "forbidden")
        form = {"input": (None, '{"x": 0}'), "a": ("a", b"b")}
        page = {"Origin": "http://localhost:3000"}
        error_of(await client.post("/agents/quick/run", files=form, headers=page), 403, "forbidden")
        error_of(await client.get("/agents", headers={"Host": "evil.example"}), 403, "forbidden")
        blob = await client.post("/agents", content=yaml, headers={"Content-Type": "text/plain"})
        error_of(blob, 415, "unsupported_media_type")

        allowed = await client.options(
            "/agents",
            headers={
                "Origin": "https://motet.example",
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "content-type",
            },
        )
        listed = await client.get("/agents", headers={"Origin": "https://motet.example"})
    for response in (allowed, listed):
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://motet.example"
    assert "X-Pagination-Next" in listed.headers["access-control-expose-headers"]
    status, said = await motet("agents", "--home", str(tmp_path))
    assert (status, "ask" in said) == (0, True), said
    await server.stop()


async def test_server_that_does_not_answer_in_time_is_not_left_behind(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, start_timeout_s=0.05)

    with pytest.raises(TimeoutError):
        await server.start()

    with pytest.raises(psutil.NoSuchProcess):
        assert server.process
