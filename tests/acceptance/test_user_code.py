"""Code of users that tries to end the server: its own run fails, and other people's finish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.forked import ForkedServer
from tests.support.service import error_of, new_thread, open_client, run_to_end
from tests.support.socket_gate import SocketGate

TOOLS = '''
import asyncio, os, sys, threading, time
from tools import tool

async def leave():
    sys.exit(3)

@tool
def exit_in_a_function():
    """Leave."""
    sys.exit(3)

@tool
async def exit_in_a_coroutine():
    """Leave."""
    sys.exit(3)

@tool
async def exit_in_a_task_within():
    """Leave."""
    await asyncio.gather(leave(), leave())

@tool
async def exit_in_a_thread_within():
    """Leave."""
    await asyncio.to_thread(sys.exit, 3)

@tool
async def exit_in_a_callback():
    """Leave."""
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(0.01)
    raise ValueError("after all")

@tool
async def stop_the_loop():
    """Leave."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    raise ValueError("after all")

@tool(repeatable=True)
def end_the_process():
    """Leave for good."""
    os._exit(9)

@tool
def end_the_process_once():
    """Leave for good."""
    os._exit(9)

@tool
def exit_in_a_thread_left_behind():
    """Leave."""
    threading.Thread(target=sys.exit, args=(3,)).start()
    threading.Thread(target=time.sleep, args=(9999,)).start()
    raise ValueError("after all")

@tool
async def raise_a_group():
    """Leave."""
    raise BaseExceptionGroup("both", [KeyError(1), KeyboardInterrupt()])
'''
AGENT = """
version: 1
name: {name}
nodes:
  act: {{type: tool, tool: {tool}, save: r{more}}}
output: [r]
"""
PYTHON = """
import asyncio, sys
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

class State(TypedDict, total=False):
    gate: str
    r: Any

def leave(state): sys.exit(3)
async def leave_async(state): sys.exit(3)

def one_node(node):
    graph = StateGraph(State)
    graph.add_node("act", node)
    graph.add_edge(START, "act")
    return graph

inner = one_node(leave_async).compile()
async def call(state): return await inner.ainvoke(state)
async def hold(state):
    reader, writer = await asyncio.open_unix_connection(state["gate"])
    await reader.read()
    writer.close()
    return {{"r": "held"}}

def leaving_router():
    graph = one_node(hold_nothing)
    graph.add_conditional_edges("act", leave)
    return graph
def beside():
    graph = one_node(leave_async)
    graph.add_node("beside", hold_nothing)
    graph.add_edge(START, "beside")
    return graph
async def hold_nothing(state): return {{"gate": "none"}}

def build(): return {graph}
"""
EDITED = """
import sys
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

def reduce(old, new):
    if new == "leave":
        sys.exit(3)
    return new

class State(TypedDict, total=False):
    x: Any
    y: Annotated[list, reduce]

async def one(state): return {"x": 1}
async def two(state): return {"x": 2}

def choose(state):
    if state["x"] == "leave":
        sys.exit(3)
    return {1: "two"}[state["x"]]

def build():
    graph = StateGraph(State)
    graph.add_node("one", one)
    graph.add_node("two", two)
    graph.add_edge(START, "one")
    graph.add_conditional_edges("one", choose, ["two"])
    graph.add_edge("two", END)
    return graph
"""
EXITS = (
    *("exit_in_a_function", "exit_in_a_coroutine", "exit_in_a_task_within"),
    *("exit_in_a_thread_within", "exit_in_a_callback", "stop_the_loop", "raise_a_group"),
    "exit_in_a_thread_left_behind",
)
ENDS = ("end_the_process", "end_the_process_once")
NODES = {
    "node": "one_node(leave)",
    "node_async": "one_node(leave_async)",
    "chain": "one_node(RunnableLambda(leave))",
    "graph_within": "one_node(call)",
    "router": "leaving_router()",
    "branch": "beside()",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder whose users wrote what is above."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "mine.py").write_text(TOOLS)
    agents = tmp_path / "agents"
    agents.mkdir()
    for name in (*EXITS, *ENDS):
        (agents / f"{name}.yaml").write_text(AGENT.format(name=name, tool=name, more=""))
    for name, graph in {**NODES, "holder": "one_node(hold)"}.items():
        (agents / f"{name}.py").write_text(PYTHON.format(graph=graph))
    (agents / "edited.py").write_text(EDITED)
    return tmp_path


@pytest.fixture
async def client(home: Path) -> AsyncIterator[httpx.AsyncClient]:
    server = ForkedServer(home)
    await server.start()
    async with open_client(server.url) as client:
        yield client
        assert (await client.get("/health")).status_code == 200
    assert await server.stop() == 0


async def test_an_exit_of_user_code_fails_its_run_and_no_other(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    holding = asyncio.create_task(run_to_end(client, "holder", {"gate": gate.path}))
    await gate.knocked()

    codes = {name: await code_of_failure(client, name) for name in (*EXITS, *NODES)}

    tools = dict.fromkeys(EXITS, "tool_failed")
    assert codes == {**tools, **dict.fromkeys(NODES, "step_failed")}
    gate.open()
    assert (await holding)["output"] == {"gate": gate.path, "r": "held"}


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({"x": "a name that no edge has"}, "values", "KeyError"),
        ({"x": "leave"}, "values", "SystemExit"),
        ({"y": "leave"}, "values.y", "SystemExit"),
    ],
)
async def test_an_edit_that_code_of_users_does_not_take_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, values: dict[str, str], field: str, reason: str
) -> None:
    thread_id = await new_thread(client)
    await run_to_end(client, "edited", {}, thread_id=thread_id)
    before = (await client.get(f"/threads/{thread_id}/state")).json()

    body = {"values": values, "as_node": "one"}
    refused = error_of(
        await client.post(f"/threads/{thread_id}/state", json=body), 422, "invalid_request"
    )

    assert refused["details"] == {"field": field}
    assert reason in refused["message"]
    assert (await client.get(f"/threads/{thread_id}/state")).json() == before


async def code_of_failure(client: httpx.AsyncClient, agent: str) -> str:
    answer = await client.post(f"/agents/{agent}/run", json={"input": {}, "stream": False})
    code: str = answer.json()["error"]["code"]
    return code


@pytest.mark.parametrize(
    ("agent", "code"),
    [("end_the_process", "too_many_crashes"), ("end_the_process_once", "tool_cut_off")],
)
async def test_a_tool_that_ends_the_process_is_not_called_for_ever_and_others_finish(
    home: Path, gate: SocketGate, agent: str, code: str
) -> None:
    server = ForkedServer(home)
    await server.start()
    async with open_client(server.url) as client:
        holding = await begin(client, "holder", {"gate": gate.path})
        await gate.knocked()
        ending = await begin(client, agent, {})
        assert await server.wait_ended() == 9
    gate.open()

    ended: dict[str, Any] = {}
    for _ in range(6):
        # The server may end before it has said where it listens, or while it is asked.
        with suppress(RuntimeError, httpx.HTTPError):
            await server.start()
            async with open_client(server.url) as client:
                ended = {run: await wait_ended(client, run) for run in (ending, holding)}
                break

    assert ended[ending]["error"]["code"] == code
    assert ended[holding]["status"] == "finished"
    assert await server.stop() == 0


async def begin(client: httpx.AsyncClient, agent: str, input: dict[str, Any]) -> str:
    body = {"input": input, "background": True}
    answer = await client.post(f"/agents/{agent}/run", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


async def wait_ended(client: httpx.AsyncClient, run: str) -> dict[str, Any]:
    async with client.stream("GET", f"{run}/events") as stream:
        async for _ in stream.aiter_lines():
            pass
    record: dict[str, Any] = (await client.get(run)).json()
    return record
