"""Steps that give what no checkpoint can hold fail by name, and leave the thread as it was."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from langgraph.graph import StateGraph
from langgraph.types import interrupt

from runs.events import dumps
from runs.record import RunRequest
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import State, chain
from tests.support.tenants import TENANT


def circular() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


UNSTORABLE: dict[str, Any] = {
    "large": 2**63,
    "larger": -(2**70),
    "half": "a\ud800",
    "half-name": {"\ud800": 1},
    "nan": float("nan"),
    "infinity": [float("inf")],
    "tuple-name": {(1, 2): 3},
    "object": object(),
    "function": print,
    "generator": (n for n in [1]),
    "complex": 1j,
    "circle": circular(),
}
KEPT: dict[str, Any] = {
    "most": 2**63 - 1,
    "least": -(2**63),
    "minus-zero": -0.0,
    "nul": "a\0b",
    "number-name": {1: 2},
    "set": {1, 2},
    "date": datetime.date(2026, 11, 29),
    "decimal": Decimal("1.10"),
    "bytes": b"\xff",
    "long": "ü" * 2_000_000,
}


def giving(value: Any) -> Callable[[], StateGraph[Any]]:
    async def fine(state: State) -> dict[str, Any]:
        return {"x": 1}

    async def give(state: State) -> dict[str, Any]:
        return {"x": value}

    return lambda: chain({"fine": fine, "give": give})


@pytest.mark.parametrize("name", UNSTORABLE)
async def test_unstorable_value_fails_the_run_and_names_node_and_field(
    process: EngineFactory, name: str
) -> None:
    process.graphs[name] = giving(UNSTORABLE[name])
    async with process.engine() as engine:
        thread = await process.threads.create(tenant=TENANT)
        thread_id = thread["thread_id"]
        request = RunRequest(agent=name, input={}, thread_id=thread_id, tenant=TENANT)
        run = await ended(engine, (await engine.submit(request)).run_id)
        state = await process.threads.get_state(thread_id, tenant=TENANT)

    assert (run.status, (run.error or {})["code"]) == ("failed", "unstorable_value")
    assert (run.error or {})["details"]["node"] == "give"
    assert (run.error or {})["details"]["field"].split(".")[0] == "x"
    assert state["values"]["x"] == 1
    assert dumps(state)


@pytest.mark.parametrize("name", KEPT)
async def test_other_values_are_kept_exactly(process: EngineFactory, name: str) -> None:
    process.graphs[name] = giving(KEPT[name])
    async with process.engine() as engine:
        thread = await process.threads.create(tenant=TENANT)
        thread_id = thread["thread_id"]
        request = RunRequest(agent=name, input={}, thread_id=thread_id, tenant=TENANT)
        run = await ended(engine, (await engine.submit(request)).run_id)
        state = await process.threads.get_state(thread_id, tenant=TENANT)

    assert run.status == "finished"
    assert repr(state["values"]["x"]) == repr(KEPT[name])
    assert dumps(state)


async def test_error_with_half_a_character_keeps_its_text(process: EngineFactory) -> None:
    async def fail(state: State) -> dict[str, Any]:
        raise ValueError("bad \ud800 text")

    process.graphs["fail"] = lambda: chain({"fail": fail})
    async with process.engine() as engine:
        submitted = await engine.submit(RunRequest(agent="fail", input={}, tenant=TENANT))
        run = await ended(engine, submitted.run_id)
        events = await read_events(engine, run.run_id)

    assert (run.error or {})["message"].endswith("ValueError: bad ? text")
    assert events[-1]["type"] == "run.failed"


@pytest.mark.parametrize(
    "question", [{"n": 2**70}, "\ud800", object()], ids=["n", "half", "object"]
)
async def test_question_that_cannot_be_kept_fails_its_run(
    process: EngineFactory, question: Any
) -> None:
    async def ask(state: State) -> dict[str, Any]:
        return {"x": interrupt(question)}

    process.graphs["asks"] = lambda: chain({"ask": ask})
    async with process.engine() as engine:
        submitted = await engine.submit(RunRequest(agent="asks", input={}, tenant=TENANT))
        run = await ended(engine, submitted.run_id)

    assert (run.status, (run.error or {})["code"]) == ("failed", "unstorable_value")


@pytest.mark.parametrize(
    ("value", "json"),
    [
        ({"a": 2**70}, b'{"a":"1180591620717411303424"}'),
        (["\ud800"], b'["?"]'),
        ({(1, 2): {3}}, b'{"(1, 2)":[3]}'),
    ],
)
def test_events_show_what_json_cannot_hold_as_text(value: Any, json: bytes) -> None:
    assert dumps(value) == json
