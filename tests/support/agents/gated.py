"""Says a word, waits at a test's gate, says another."""

import asyncio
import operator
from typing import Annotated

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    gate: str
    x: int
    log: Annotated[list[str], operator.add]


async def before(state: State):
    return {"x": state.get("x", 0) + 1, "log": ["before"]}


async def hold(state: State):
    write = get_stream_writer()
    write({"word": "waiting"})
    reader, writer = await asyncio.open_unix_connection(state["gate"])
    try:
        await reader.read()
    finally:
        writer.close()
    write({"word": "through"})
    return {"x": state["x"] + 1, "log": ["hold"]}


async def after(state: State):
    return {"x": state["x"] + 1, "log": ["after"]}


def build():
    graph = StateGraph(State)
    graph.add_node("before", before)
    graph.add_node("hold", hold)
    graph.add_node("after", after)
    graph.add_edge(START, "before")
    graph.add_edge("before", "hold")
    graph.add_edge("hold", "after")
    graph.add_edge("after", END)
    return graph
