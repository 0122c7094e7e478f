"""Threads whose state grows, as conversations do, and what must hold of how they are stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt
from typing_extensions import TypedDict

from runs.parts.part_reader import PartReader
from runs.parts.states import decode, read_values
from tests.support.runs.graphs import NodeGates

TEXT = "w" * 500
"""What each step adds, beside a number."""
SERDE = JsonPlusSerializer()


def _add(old: list[Any] | None, new: list[Any]) -> list[Any]:
    return [*(old or []), *new]


class Talk(TypedDict, total=False):
    """A conversation: texts, records that nodes may change where they stand, messages."""

    x: int
    said: Annotated[list[str], _add]
    notes: Annotated[list[dict[str, Any]], _add]
    messages: Annotated[list[Any], add_messages]


def growing_graphs(gates: NodeGates) -> dict[str, Callable[[], StateGraph[Any]]]:
    """Graphs by agent name. `gates` holds their nodes `a` and `b`."""

    async def a(state: Talk) -> dict[str, Any]:
        await gates.pass_("a")
        number = len(state.get("said", []))
        return {
            "said": [f"{number} {TEXT}"],
            "notes": [{"number": number, "text": TEXT, "marks": []}],
            "messages": [HumanMessage(f"{number} {TEXT}", id=f"h{number}")],
        }

    async def b(state: Talk) -> dict[str, Any]:
        await gates.pass_("b")
        number = len(state["said"])
        return {
            "said": [f"{number} {TEXT}"],
            "messages": [AIMessage(f"{number} {TEXT}", id=f"a{number}")],
        }

    async def mark(state: Talk) -> dict[str, Any]:
        for note in state["notes"]:
            note["marks"].append(state["x"])  # where it stands: no update says so
        await gates.pass_("mark")
        if state["x"] < 0:
            raise ValueError("deliberate failure")
        return {}

    async def ask(state: Talk) -> dict[str, Any]:
        return {"said": [f"{interrupt('go on?')} {TEXT}"]}

    async def inside(state: Talk) -> dict[str, Any]:
        number = len(state["said"])
        return {"said": [f"{number} {TEXT}"], "x": number}

    def within() -> StateGraph[Any]:
        """`b` is a graph of its own, which gets the whole state and answers with its last text."""
        inner = _chain({"inside": inside, "again": inside}).compile()

        async def call(state: Talk) -> dict[str, Any]:
            return {"said": (await inner.ainvoke(state))["said"][-1:]}

        return _chain({"a": a, "b": call})

    return {
        "growing-within": within,
        "growing": lambda: _chain({"a": a, "b": b}),
        "marking": lambda: _chain({"a": a, "mark": mark, "b": b}),
        "growing-asking": lambda: _chain({"a": a, "ask": ask, "b": b}),
    }


def _chain(nodes: dict[str, Any]) -> StateGraph[Any]:
    graph: StateGraph[Any] = StateGraph(Talk)
    previous = START
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, END)
    return graph


def check_parts(file: Path) -> int:
    """Check that each checkpoint finds its parts, and each part its checkpoint; count the parts."""
    with closing(sqlite3.connect(file)) as connection:
        checkpoints = connection.execute("SELECT thread_id, type, checkpoint FROM checkpoints")
        for key, type_, blob in checkpoints.fetchall():
            references = decode(type_, blob, SERDE).references
            read_values(references, PartReader(key, SERDE).on(connection))
        orphans = connection.execute(
            "SELECT thread_id, part_id FROM parts WHERE NOT EXISTS (SELECT 1 FROM checkpoints AS c "
            "WHERE c.thread_id = parts.thread_id AND c.checkpoint_id = parts.checkpoint_id)"
        ).fetchall()
        assert orphans == []
        (count,) = connection.execute("SELECT count(*) FROM parts").fetchone()
        return int(count)
