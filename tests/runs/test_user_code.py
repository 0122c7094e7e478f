"""What code of users may raise in a run: it fails that run, and no other."""

from __future__ import annotations

from textwrap import indent
from typing import Any

import pytest

from runs.graph_stream import PARTS_PER_TURN
from runs.record import Run, RunRequest
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.tenants import TENANT

HEAD = """
import asyncio, sys
from typing import Annotated, Any
from langgraph.config import get_stream_writer
from langgraph.errors import GraphDrained
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from pydantic import BaseModel, field_validator
from typing_extensions import TypedDict

class State(TypedDict, total=False):
    x: Any

async def leave_async(*args): leave()

def one_node(node, state=State):
    graph = StateGraph(state)
    graph.add_node("act", node)
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    return graph
"""
RAISES = {
    "SystemExit: 3": "sys.exit(3)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "CancelledError": "raise asyncio.CancelledError",
    "StopIteration": "raise StopIteration",
    "StopAsyncIteration": "raise StopAsyncIteration",
    "GraphDrained: Graph drained: shutdown": "raise GraphDrained",
    "SystemExit: 1": "raise BaseExceptionGroup('', [KeyError('k'), SystemExit(1)])",
}
PLACES = {
    "a node": "def build(): return one_node(lambda state: leave())",
    "an async node": "def build(): return one_node(leave_async)",
    "a router": """
def build():
    graph = one_node(lambda state: {"x": 1})
    graph.add_conditional_edges("act", lambda state: leave(), ["act"])
    return graph
""",
    "an async router": """
def build():
    graph = one_node(lambda state: {"x": 1})
    graph.add_conditional_edges("act", leave_async, ["act"])
    return graph
""",
    "a reducer": """
def reduce(old, new): leave()
class Reduced(TypedDict, total=False):
    x: Annotated[list, reduce]
def build(): return one_node(lambda state: {"x": 1}, Reduced)
""",
    "a validator": """
class Valid(BaseModel):
    x: int = 0
    @field_validator("x", mode="before")
    def check(cls, value):
        if value == 7: leave()
        return value
def build():
    graph = one_node(lambda state: {"x": 7}, Valid)
    graph.add_node("then", lambda state: {})
    graph.add_edge("act", "then")
    return graph
""",
    "a node of a graph within": """
def build():
    return one_node(one_node(lambda state: leave()).compile())
""",
}
STEADY = f"{HEAD}\nasync def act(state): return {{'x': 1}}\ndef build(): return one_node(act)\n"


def write_agent(process: EngineFactory, leave: str, place: str) -> None:
    folder = process.folder / "agents"
    folder.mkdir(exist_ok=True)
    text = f"{HEAD}\ndef leave(*args):\n{indent(leave, '    ')}\n{place}"
    (folder / "leaver.py").write_text(text)
    (folder / "steady.py").write_text(STEADY)


async def run_agent(process: EngineFactory) -> Run:
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="leaver", input={}, tenant=TENANT))
        over = await ended(engine, run.run_id)
        events = await read_events(engine, run.run_id)
        assert events[-1]["type"] == "run.failed"
        steady = await engine.submit(RunRequest(agent="steady", input={}, tenant=TENANT))
        assert (await ended(engine, steady.run_id)).status == "finished"
    return over


@pytest.mark.parametrize("place", PLACES)
async def test_an_exit_anywhere_in_a_python_graph_fails_its_run(
    process: EngineFactory, place: str
) -> None:
    write_agent(process, "sys.exit(3)", PLACES[place])

    run = await run_agent(process)

    assert run.status == "failed"
    assert (run.error or {})["code"] == "step_failed"
    assert "SystemExit: 3" in (run.error or {})["message"]


@pytest.mark.parametrize("text", RAISES)
@pytest.mark.parametrize("place", ["a node", "an async node", "an async router", "a reducer"])
async def test_whatever_a_python_graph_raises_fails_its_run(
    process: EngineFactory, text: str, place: str
) -> None:
    write_agent(process, RAISES[text], PLACES[place])

    run = await run_agent(process)

    assert text in (run.error or {})["message"]


async def test_a_node_that_asks_its_run_to_leave_fails_it(process: EngineFactory) -> None:
    place = """
def build():
    graph = one_node(lambda state: leave())
    graph.add_node("then", lambda state: {})
    graph.add_edge("act", "then")
    return graph
"""
    write_agent(process, "get_runtime().control.request_drain()", place)

    run = await run_agent(process)

    assert (run.status, (run.error or {})["code"]) == ("failed", "step_failed")


@pytest.mark.parametrize(
    "written",
    [{"motet": "attempt"}, {"motet": ["attempt"]}, {"motet": "attempt", "step": [1]}, {"motet": 1}],
)
async def test_what_a_node_writes_to_its_stream_is_an_event_of_any_form(
    process: EngineFactory, written: dict[str, Any]
) -> None:
    place = "def build(): return one_node(lambda state: leave())"
    write_agent(process, f"get_stream_writer()({written!r})", place)
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="leaver", input={}, tenant=TENANT))
        events = await read_events(engine, run.run_id)

    assert [event["data"] for event in events if event["type"] == "custom"] == [written]
    assert events[-1]["type"] == "run.finished"


async def test_an_exit_in_one_of_two_branches_fails_the_run(process: EngineFactory) -> None:
    place = """
def build():
    graph = one_node(leave_async)
    graph.add_node("beside", lambda state: {})
    graph.add_edge(START, "beside")
    return graph
"""
    write_agent(process, "sys.exit(3)", place)

    assert (await run_agent(process)).status == "failed"


async def test_a_cancelled_run_stays_cancelled_whatever_its_node_makes_of_it(
    process: EngineFactory,
) -> None:
    place = """
async def wait(state):
    try:
        await asyncio.Event().wait()
    finally:
        leave()
def build(): return one_node(wait)
"""
    write_agent(process, "raise SystemExit(1)", place)
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="leaver", input={}, tenant=TENANT))
        async for batch in engine.follow(run.run_id, tenant=TENANT):
            if any(event.type == "step.started" for event in batch.events):
                break
        await engine.cancel(run.run_id, tenant=TENANT)
        assert (await ended(engine, run.run_id)).status == "cancelled"


MANY_EVENTS = """
async def act(state):
    write = get_stream_writer()
    for number in range(5_000):
        write(number)
    State.counting = asyncio.create_task(count())

async def count():
    State.turns = 0
    while True:
        await asyncio.sleep(0)
        State.turns += 1

async def then(state):
    State.counting.cancel()
    return {"x": State.turns}

def build():
    graph = one_node(act)
    graph.add_node("then", then)
    graph.add_edge("act", "then")
    return graph
"""


async def test_others_have_their_turn_while_very_many_events_of_a_node_are_told(
    process: EngineFactory,
) -> None:
    write_agent(process, "pass", MANY_EVENTS)
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="leaver", input={}, tenant=TENANT))
        over = await ended(engine, run.run_id)
        events = await read_events(engine, run.run_id)

    assert [e["data"] for e in events if e["type"] == "custom"] == list(range(5_000))
    assert (over.output or {})["x"] >= 5_000 / PARTS_PER_TURN


TOO_MUCH = {
    "a router": """
from langgraph.types import Send
def build():
    graph = one_node(lambda state: {})
    graph.add_node("each", lambda state: {})
    graph.add_conditional_edges("act", lambda state: [Send("each", {})] * 1_001, ["each"])
    return graph
""",
    "a command": """
from langgraph.types import Command, Send
async def act(state): return Command(goto=[Send("each", {})] * 1_001)
def build():
    graph = one_node(act)
    graph.add_node("each", lambda state: {})
    return graph
""",
    "a question": """
from langgraph.types import interrupt
def build(): return one_node(lambda state: interrupt({"items": list(range(20_000))}))
""",
    "a question of a graph within": """
from langgraph.types import interrupt
async def act(state): interrupt([[]] * 20_000)
def build(): return one_node(one_node(act).compile())
""",
}


@pytest.mark.parametrize("place", TOO_MUCH)
async def test_step_that_asks_for_too_much_at_once_fails_with_the_bound(
    process: EngineFactory, place: str
) -> None:
    write_agent(process, "pass", TOO_MUCH[place])

    run = await run_agent(process)

    assert (run.error or {})["code"] == "too_large"
    assert "at most" in (run.error or {})["message"]
