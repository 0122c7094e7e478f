"""Functions of users that block their threads: they hold up nobody else, nor the server's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.service import open_client, run_to_end
from tests.support.socket_gate import SocketGate

TOOLS = '''
import socket, time
from tools import tool

@tool(repeatable=True)
def block(gate: str) -> str:
    """Wait at a gate."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(gate)
        line.recv(1)
    return "through"

@tool(repeatable=True, timeout_s=0.2)
def block_too_long(gate: str) -> str:
    """Wait at a gate, for longer than may be."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(gate)
        line.recv(1)
    return "through"
'''
AGENT = """
version: 1
name: {tool}
input: {{gate: string}}
nodes:
  act: {{type: tool, tool: {tool}, arguments: {{gate: "{{{{ gate }}}}"}}, save: r}}
output: [r]
"""
PYTHON = """
import asyncio, socket
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

class State(TypedDict, total=False):
    gate: str
    r: str

def block(state):
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(state["gate"])
        line.recv(1)
    return {{"r": "through"}}

async def block_within(state): return await asyncio.to_thread(block, state)

def build():
    graph = StateGraph(State)
    graph.add_node("act", {node})
    graph.add_edge(START, "act")
    return graph
"""
AGENTS = ("block", "node", "node_within")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "mine.py").write_text(TOOLS)
    agents = tmp_path / "agents"
    agents.mkdir()
    for tool in ("block", "block_too_long"):
        (agents / f"{tool}.yaml").write_text(AGENT.format(tool=tool))
    (agents / "node.py").write_text(PYTHON.format(node="block"))
    (agents / "node_within.py").write_text(PYTHON.format(node="block_within"))
    server = ForkedServer(tmp_path, drain_s="0.2")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(server.url) as client:
        yield client


async def begin(client: httpx.AsyncClient, agent: str, gate: SocketGate) -> str:
    body = {"input": {"gate": gate.path}, "background": True}
    answer = await client.post(f"/agents/{agent}/run", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


@pytest.mark.parametrize("agent", AGENTS)
async def test_blocked_functions_hold_up_nothing_of_the_service(
    client: httpx.AsyncClient, gate: SocketGate, agent: str
) -> None:
    runs = [await begin(client, agent, gate) for _ in range(12)]
    await gate.knocked()

    stored = await client.post("/artifacts", files={"files": ("a.txt", b"text", "text/plain")})
    assert stored.status_code == 201
    assert (await client.get("/agents/node/picture.svg")).status_code == 200
    gate.open()
    for run in runs:
        assert await wait_ended(client, run) == "finished"


async def test_a_call_that_took_too_long_is_seen_until_it_ends(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    body = {"input": {"gate": gate.path}, "stream": False}
    failed = (await client.post("/agents/block_too_long/run", json=body)).json()
    assert failed["error"]["code"] == "tool_timed_out"

    assert (await functions(client)) == {"running": 1, "abandoned": 1}
    gate.open()
    await run_to_end(client, "block", {"gate": gate.path})
    assert (await functions(client)) == {"running": 0, "abandoned": 0}


@pytest.mark.parametrize("agent", [*AGENTS, "block_too_long"])
async def test_a_server_ends_although_a_function_never_does(
    server: ServerProcess, client: httpx.AsyncClient, gate: SocketGate, agent: str
) -> None:
    run = await begin(client, agent, gate)
    await gate.knocked()
    if agent == "block_too_long":
        assert await wait_ended(client, run) == "failed"

    async with asyncio.timeout(240):
        assert await server.stop() == 0

    # Only now may another process have the folder; it takes up what was left.
    gate.open()
    await server.start()
    async with open_client(server.url) as again:
        ended = "failed" if agent == "block_too_long" else "finished"
        assert await wait_ended(again, run) == ended


async def wait_ended(client: httpx.AsyncClient, run: str) -> str:
    async with client.stream("GET", f"{run}/events") as stream:
        async for _ in stream.aiter_lines():
            pass
    status: str = (await client.get(run)).json()["status"]
    return status


async def functions(client: httpx.AsyncClient) -> dict[str, Any]:
    counts: dict[str, Any] = (await client.get("/ready")).json()["user_functions"]
    return counts
