"""A conversation as a graph: two nodes that each add a text of 500 characters to the state."""

from __future__ import annotations

import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

CHARACTERS = 500


class State(TypedDict, total=False):
    """All that was said, and what was said last."""

    said: Annotated[list[str], operator.add]
    last: str


class Answer(TypedDict, total=False):
    """What agents that talk answer with."""

    last: str


def talking(output: type[Any] = Answer) -> StateGraph[Any]:
    """`listen`, `answer`, in a row."""
    graph: StateGraph[Any] = StateGraph(State, output_schema=output)
    graph.add_node("listen", _speak)
    graph.add_node("answer", _speak)
    graph.add_edge(START, "listen")
    graph.add_edge("listen", "answer")
    graph.add_edge("answer", END)
    return graph


async def _speak(state: State) -> dict[str, Any]:
    text = f"{len(state.get('said', []))} ".ljust(CHARACTERS, "w")
    return {"said": [text], "last": text}
