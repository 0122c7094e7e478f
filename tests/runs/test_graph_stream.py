"""What a graph and the graphs below it stream is taken in order, at once, on the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.constants import TAG_NOSTREAM
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from runs.graph_stream import PARTS_PER_TURN, GraphStream, Part


class State(TypedDict, total=False):
    x: Any


class Text(str):
    """A text that tells when it is gone through."""

    def __iter__(self) -> Any:
        raise AssertionError("a text was read letter by letter")


def graph_of(node: Any, name: str = "act") -> StateGraph[Any]:
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node(name, node)
    graph.add_edge(START, name)
    graph.add_edge(name, END)
    return graph


async def stream(node: Any, take: Callable[[Part], None] | None = None) -> list[Part]:
    """Run a graph of one node; what it streamed, as it came."""
    taken: list[Part] = []
    parts = GraphStream(take or taken.append)
    config: RunnableConfig = {"configurable": {"thread_id": "1"}}
    parts.attach(config)
    compiled = graph_of(node).compile(InMemorySaver())
    async for _ in compiled.astream({"x": 0}, config, stream_mode="tasks"):
        await parts.wait_drained()
    parts.close()
    return taken


def custom(parts: list[Part]) -> list[Any]:
    return [data for _, mode, data in parts if mode == "custom"]


async def test_what_a_node_writes_stands_between_its_begin_and_its_end() -> None:
    async def act(state: State) -> State:
        get_stream_writer()("hi")
        return {"x": 1}

    modes = [
        (mode, "result" in data) if mode == "tasks" else (mode, data)
        for _, mode, data in await stream(act)
    ]
    assert modes == [
        ("values", {"x": 0}),
        ("tasks", False),
        ("custom", "hi"),
        ("tasks", True),
        ("values", {"x": 1}),
    ]


async def test_what_a_node_writes_is_taken_before_its_next_line() -> None:
    taken: list[Part] = []

    async def act(state: State) -> State:
        get_stream_writer()("hi")
        return {"x": custom(taken)}

    await stream(act, taken.append)

    assert taken[-1][2] == {"x": ["hi"]}


async def test_what_a_plain_function_writes_in_its_thread_is_taken_in_order_on_the_loop() -> None:
    threads: set[int] = set()
    taken: list[Part] = []

    def take(part: Part) -> None:
        threads.add(threading.get_ident())
        taken.append(part)

    def act(state: State) -> State:
        for number in range(300):
            get_stream_writer()(number)
        return {"x": 1}

    await stream(act, take)

    assert custom(taken) == list(range(300))
    assert taken[-1][1] == "values"
    assert threads == {threading.get_ident()}


async def test_graphs_below_stream_under_their_namespace() -> None:
    async def act(state: State) -> State:
        get_stream_writer()("deep")
        return {"x": 2}

    parts = await stream(graph_of(act, "inner").compile())

    [namespace] = [namespace for namespace, mode, _ in parts if mode == "custom"]
    assert [name.partition(":")[0] for name in namespace] == ["act"]


@pytest.mark.parametrize(("tags", "streamed"), [([], "Hello"), ([TAG_NOSTREAM], "")])
async def test_tokens_of_a_chat_model_are_streamed_unless_it_is_tagged(
    tags: list[str], streamed: str
) -> None:
    async def act(state: State) -> State:
        model = FakeListChatModel(responses=["Hello"]).with_config(tags=tags)
        return {"x": (await model.ainvoke("Hi")).text}

    parts = await stream(act)

    tokens = [data[0].text for _, mode, data in parts if mode == "messages"]
    assert "".join(tokens) == streamed


async def test_large_texts_in_the_state_are_not_gone_through() -> None:
    async def act(state: State) -> State:
        return {"x": Text("long")}

    assert (await stream(act))[-1][2] == {"x": "long"}


async def test_others_have_their_turn_while_very_many_parts_are_taken() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def act(state: State) -> State:
        for number in range(PARTS_PER_TURN * 20):
            get_stream_writer()(number)
        return {"x": 1}

    counting = asyncio.create_task(count())
    parts = await stream(act)
    counting.cancel()

    assert custom(parts) == list(range(PARTS_PER_TURN * 20))
    assert turns >= 20


async def test_after_the_close_nothing_is_taken() -> None:
    taken: list[Part] = []
    parts = GraphStream(taken.append)
    parts.close()

    parts.put(((), "custom", "late"))

    assert taken == []


async def test_an_error_of_taking_a_part_later_is_raised_where_it_is_waited_for() -> None:
    def take(part: Part) -> None:
        if part[2] == PARTS_PER_TURN:
            raise TypeError("no JSON")

    parts = GraphStream(take)
    for number in range(PARTS_PER_TURN + 2):
        parts.put(((), "custom", number))

    with pytest.raises(TypeError, match="no JSON"):
        await parts.wait_drained()
