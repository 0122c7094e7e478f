"""Speaks slowly in two of its five steps, so that a server can be killed at any moment of it."""

import asyncio
import operator
from typing import Annotated

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

WORDS = 30
PAUSE_S = 0.004


class State(TypedDict, total=False):
    x: int
    log: Annotated[list[str], operator.add]


def plain(name):
    async def node(state: State):
        await asyncio.sleep(PAUSE_S)
        return {"x": state["x"] + 1, "log": [name]}

    return node


def speaking(name):
    async def node(state: State):
        write = get_stream_writer()
        for number in range(WORDS):
            write({"speaker": name, "number": number})
            await asyncio.sleep(PAUSE_S)
        return {"x": state["x"] + 1, "log": [name]}

    return node


def build():
    graph = StateGraph(State)
    previous = START
    for name, make in {
        "one": plain,
        "two": speaking,
        "three": plain,
        "four": speaking,
        "five": plain,
    }.items():
        graph.add_node(name, make(name))
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, END)
    return graph
