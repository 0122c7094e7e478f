"""Three nodes that do next to nothing."""

import operator
from typing import Annotated

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    x: int
    log: Annotated[list[str], operator.add]


def node(name):
    async def run(state: State):
        return {"x": state["x"] + 1, "log": [name]}

    return run


def build():
    graph = StateGraph(State)
    for name in ("one", "two", "three"):
        graph.add_node(name, node(name))
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    graph.add_edge("two", "three")
    graph.add_edge("three", END)
    return graph
