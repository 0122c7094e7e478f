"""Asks a person for approval and writes down the answer."""

import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    draft: str
    verdict: Any
    log: Annotated[list[str], operator.add]


async def write(state: State):
    return {"draft": state["draft"].upper(), "log": ["write"]}


async def ask(state: State):
    return {"verdict": interrupt({"approve": state["draft"]}), "log": ["ask"]}


async def close(state: State):
    return {"log": ["close"]}


def build():
    graph = StateGraph(State)
    graph.add_node("write", write)
    graph.add_node("ask", ask)
    graph.add_node("close", close)
    graph.add_edge(START, "write")
    graph.add_edge("write", "ask")
    graph.add_edge("ask", "close")
    graph.add_edge("close", END)
    return graph
