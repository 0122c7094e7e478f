"""Nodes run without a chain around them, and with one where somebody traces."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.config import get_config
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from typing_extensions import TypedDict

from graphs.compile.plain_nodes import PlainNode, simplify_nodes


class State(TypedDict, total=False):
    x: Any


class Tracer(BaseCallbackHandler):
    """Notes the names of the chains that it is told of."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_chain_start(self, *args: Any, name: str = "", **kwargs: Any) -> None:
        self.names.append(name)


async def tell_place(state: State, config: RunnableConfig) -> State:
    assert get_config()["metadata"]["langgraph_node"] == "act"
    return {"x": config["metadata"]["langgraph_node"]}


def compiled(node: Any) -> Any:
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("act", node)
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    made = graph.compile()
    simplify_nodes(made)
    return made


async def test_a_function_runs_plainly_and_finds_its_configuration() -> None:
    graph = compiled(tell_place)

    assert isinstance(graph.nodes["act"].node, PlainNode)
    assert await graph.ainvoke({"x": 0}) == {"x": "act"}


async def test_nodes_of_a_graph_that_is_a_node_run_plainly() -> None:
    outer = compiled(compiled(tell_place))

    assert await outer.ainvoke({"x": 0}) == {"x": "act"}
    assert isinstance(outer.nodes["act"].bound.nodes["act"].node, PlainNode)


async def test_commands_go_where_they_say() -> None:
    async def leave(state: State) -> Command[Any]:
        return Command(update={"x": "left"}, goto=END)

    assert await compiled(leave).ainvoke({"x": 0}) == {"x": "left"}


async def test_a_chain_of_langchain_stays_one() -> None:
    graph = compiled(RunnableLambda(tell_place) | RunnableLambda(lambda update: update))

    assert not isinstance(graph.nodes["act"].node, PlainNode)
    assert await graph.ainvoke({"x": 0}) == {"x": "act"}


async def test_a_tracer_is_told_of_each_node() -> None:
    tracer = Tracer()

    await compiled(tell_place).ainvoke({"x": 0}, {"callbacks": [tracer]})

    assert "act" in tracer.names


def test_a_graph_answers_in_the_callers_thread_too() -> None:
    def act(state: State) -> State:
        return {"x": 1}

    assert compiled(act).invoke({"x": 0}) == {"x": 1}
