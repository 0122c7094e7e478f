"""Small Python graphs whose nodes a test can hold and let go."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    """What the nodes leave."""

    x: int
    log: Annotated[list[str], operator.add]


class NodeGates:
    """`entered` counts the calls of each node; a held node waits until `release`."""

    def __init__(self) -> None:
        self.entered: Counter[str] = Counter()
        self._closed: dict[str, asyncio.Event] = {}
        self._arrivals: dict[str, asyncio.Event] = {}

    def hold(self, node: str) -> None:
        self._closed[node] = asyncio.Event()
        self._arrivals[node] = asyncio.Event()

    def release(self, node: str) -> None:
        self._closed.pop(node).set()

    async def arrival(self, node: str) -> None:
        """Wait until a held node has been entered."""
        await asyncio.wait_for(self._arrivals[node].wait(), 240)

    async def pass_(self, node: str) -> None:
        self.entered[node] += 1
        if gate := self._closed.get(node):
            self._arrivals[node].set()
            await gate.wait()


def graphs(gates: NodeGates) -> dict[str, Callable[[], StateGraph[Any]]]:
    """Graphs by agent name."""

    def plain(name: str) -> Any:
        async def node(state: State) -> dict[str, Any]:
            await gates.pass_(name)
            return {"x": state.get("x", 0) + 1, "log": [name]}

        return node

    async def talk(state: State) -> dict[str, Any]:
        write = get_stream_writer()
        write({"word": 1})
        await gates.pass_("talk")
        write({"word": 2})
        return {"log": ["talk"]}

    async def ask(state: State) -> dict[str, Any]:
        await gates.pass_("ask")
        return {"log": [f"answer:{interrupt({'question': 'ok?'})}"]}

    async def twice(state: State) -> dict[str, Any]:
        first = interrupt({"question": "one?"})
        await gates.pass_("between")
        return {"log": [first, interrupt({"question": "two?"})]}

    async def boom(state: State) -> dict[str, Any]:
        raise ValueError("deliberate failure")

    three = {name: plain(name) for name in ("a", "b", "c")}
    return {
        "three": lambda: chain(three),
        "talking": lambda: chain({"a": three["a"], "talk": talk, "c": three["c"]}),
        "asking": lambda: chain({"a": three["a"], "ask": ask, "c": three["c"]}),
        "asking-twice": lambda: chain({"twice": twice}),
        "failing": lambda: chain({"a": three["a"], "boom": boom}),
        "endless": endless,
    }


def endless() -> StateGraph[Any]:
    async def again(state: State) -> dict[str, Any]:
        return {"x": state.get("x", 0) + 1}

    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("again", again)
    graph.add_edge(START, "again")
    graph.add_conditional_edges("again", lambda state: "again", ["again"])
    return graph


def chain(nodes: dict[str, Any]) -> StateGraph[Any]:
    graph: StateGraph[Any] = StateGraph(State)
    previous = START
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(previous, name)
        previous = name
    graph.add_edge(previous, END)
    return graph
