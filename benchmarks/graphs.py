"""The graphs that both sides of a comparison run."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

EMITTED = 200
GATHERING_S = 0.4


class State(TypedDict, total=False):
    """A number that each node counts up, and which nodes did."""

    x: int
    log: Annotated[list[str], operator.add]


async def one(state: State) -> dict[str, Any]:
    return {"x": state.get("x", 0) + 1, "log": ["one"]}


async def two(state: State) -> dict[str, Any]:
    return {"x": state.get("x", 0) + 1, "log": ["two"]}


async def three_(state: State) -> dict[str, Any]:
    return {"x": state.get("x", 0) + 1, "log": ["three"]}


async def emit(state: State) -> dict[str, Any]:
    write = get_stream_writer()
    for number in range(EMITTED):
        write({"number": number, "text": "token"})
    return {"x": state.get("x", 0) + 1, "log": ["emit"]}


def three() -> StateGraph[Any]:
    """`one`, `two`, `three`, in a row."""
    return _chain({"one": one, "two": two, "three": three_})


async def gather_readers(state: State) -> dict[str, Any]:
    await asyncio.sleep(GATHERING_S)
    return await one(state)


def emitting() -> StateGraph[Any]:
    """`one`, `emit`, `three`, in a row; the first leaves readers the time to come."""
    return _chain({"one": gather_readers, "emit": emit, "three": three_})


def quiet() -> StateGraph[Any]:
    """`emitting` without a word."""
    return _chain({"one": gather_readers, "two": two, "three": three_})


def _chain(nodes: dict[str, Any]) -> StateGraph[Any]:
    graph: StateGraph[Any] = StateGraph(State)
    previous = START
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, END)
    return graph
