"""A plain function beside a step that fails: it ends before the run does, and is not run twice."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from uuid import uuid4

import pytest

from runs.engine import RunEngine
from runs.record import Run, RunRequest
from tests.support.runs.engines import EngineFactory, ended
from tests.support.tenants import TENANT

BRANCHES = """
import asyncio, threading
from operator import add
from typing import Annotated
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

working, may_end, failing = threading.Event(), threading.Event(), threading.Event()
calls = {"fail": 0, "work": 0, "after": 0}

class State(TypedDict, total=False):
    done: Annotated[list[str], add]

async def fail(state):
    calls["fail"] += 1
    await asyncio.to_thread(working.wait)
    if calls["fail"] == 1:
        failing.set()
        raise ValueError("the first time")
    return {"done": ["fail"]}

def work(state):
    calls["work"] += 1
    working.set()
    assert may_end.wait(20)
    return {"done": ["work"]}

def after(state):
    calls["after"] += 1
    return {"done": ["after"]}

def branches():
    graph = StateGraph(State)
    for name, node in {"fail": fail, "work": NODE, "after": after}.items():
        graph.add_node(name, node)
    for name in ("fail", "work"):
        graph.add_edge(START, name)
    graph.add_edge(["fail", "work"], "after")
    return graph

build = branches
"""
WITHIN = """
def build():
    graph = StateGraph(State)
    graph.add_node("inner", branches().compile())
    graph.add_edge(START, "inner")
    return graph
"""


@pytest.fixture(params=["a node", "a node of a graph within", "a node that calls a function"])
def branches(request: pytest.FixtureRequest, process: EngineFactory) -> str:
    text = BRANCHES.replace("NODE", "work")
    if "within" in request.param:
        text += WITHIN
    if "calls" in request.param:
        text = BRANCHES.replace("NODE", "lambda state: work(state)")
    folder = process.folder / "agents"
    folder.mkdir()
    (folder / "branches.py").write_text(text)
    return "branches"


async def begin(engine: RunEngine, agent: str, thread_id: str, input: Any) -> Run:
    request = RunRequest(
        agent=agent, input=input, tenant=TENANT, thread_id=thread_id, create_thread=True
    )
    return await engine.submit(request)


async def test_a_run_ends_when_the_function_beside_its_failed_step_has_ended(
    process: EngineFactory, branches: str
) -> None:
    async with process.engine() as engine:
        module: Any = sys.modules["motet_agent_branches"]
        run = await begin(engine, branches, str(uuid4()), {})
        await asyncio.to_thread(module.failing.wait)
        ending = asyncio.create_task(ended(engine, run.run_id))
        await asyncio.wait([ending], timeout=0.1)
        assert not ending.done()
        module.may_end.set()

        assert (await ending).status == "failed"
        assert "the first time" in ((await ending).error or {})["message"]


async def test_a_function_that_ended_beside_a_failed_step_is_not_run_again(
    process: EngineFactory, branches: str
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        module: Any = sys.modules["motet_agent_branches"]
        run = await begin(engine, branches, thread_id, {})
        await asyncio.to_thread(module.failing.wait)
        module.may_end.set()
        assert (await ended(engine, run.run_id)).status == "failed"

        again = await ended(engine, (await begin(engine, branches, thread_id, None)).run_id)

    assert again.status == "finished"
    assert sorted(again.output["done"]) == ["after", "fail", "work"]
    assert module.calls == {"fail": 2, "work": 1, "after": 1}


async def test_a_function_that_never_ends_does_not_keep_the_run(
    process: EngineFactory, branches: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.user_code.ending.OUTLAST_S", 0.05)
    async with process.engine() as engine:
        module: Any = sys.modules["motet_agent_branches"]
        run = await begin(engine, branches, str(uuid4()), {})

        assert (await ended(engine, run.run_id)).status == "failed"
        module.may_end.set()


async def test_a_cancelled_run_does_not_wait_long_for_its_function(
    process: EngineFactory, branches: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.user_code.ending.OUTLAST_CANCELLED_S", 0.05)
    async with process.engine() as engine:
        module: Any = sys.modules["motet_agent_branches"]
        module.calls["fail"] = 1  # it does not fail
        run = await begin(engine, branches, str(uuid4()), {})
        await asyncio.to_thread(module.working.wait)
        await engine.cancel(run.run_id, tenant=TENANT)

        assert (await ended(engine, run.run_id)).status == "cancelled"
        module.may_end.set()
