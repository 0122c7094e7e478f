"""Tells which of some modules the server process has imported."""

import sys
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    names: list[str]
    index: str
    query: str
    found: list[str]
    passages: int


async def search(state: State) -> dict[str, Any]:
    if not state.get("index"):
        return {"passages": 0}
    context: Any = get_runtime().context
    return {
        "passages": len(
            await context.indexes.search(state["index"], state["query"], tenant=context.tenant)
        )
    }


async def look(state: State) -> dict[str, Any]:
    roots = {name.partition(".")[0] for name in sys.modules}
    return {"found": sorted(roots & set(state["names"]))}


def build():
    graph = StateGraph(State)
    graph.add_node("search", search)
    graph.add_node("look", look)
    graph.add_edge(START, "search")
    graph.add_edge("search", "look")
    graph.add_edge("look", END)
    return graph
