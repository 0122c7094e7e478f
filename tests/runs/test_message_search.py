"""LangGraph's search for messages passes over all else, and finds messages still."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.pregel._messages import StreamMessagesHandler
from langgraph.types import Command

from runs.engine import RunEngine
from runs.message_search import narrow_search


class Text(str):
    """A text that tells when it is gone through."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("a text was read letter by letter")


class Number(int):
    """A number that tells when it is taken for a message."""

    @property
    def __class__(self) -> type:  # isinstance() asks for it, type() does not
        raise AssertionError("a list was gone through")


def search(response: Any) -> list[Any]:
    """The messages that LangGraph streams of what a node gave."""
    found: list[Any] = []
    handler = StreamMessagesHandler(found.append, subgraphs=True)
    run_id = uuid4()
    at_step = {"langgraph_node": "n", "langgraph_checkpoint_ns": "n:1"}
    handler.on_chain_start({}, response, run_id=run_id, metadata=at_step, name="n")
    handler.seen.clear()
    handler.on_chain_end(response, run_id=run_id)
    return [message for _, _, (message, _) in found]


@pytest.mark.parametrize(
    "response",
    [
        Text("text"),
        {"text": Text("text")},
        {"numbers": [Number(1)]},
        [Number(1)],
        [Text("text")],
        Command(update={"text": Text("text")}),
        [Command(update={"text": Text("text")})],
    ],
)
async def test_texts_and_lists_without_messages_are_not_gone_through(
    engine: RunEngine, response: Any
) -> None:
    assert search(response) == []


MESSAGE = AIMessageChunk("hi", id="1")


@pytest.mark.parametrize(
    "response",
    [
        MESSAGE,
        [MESSAGE],
        {"messages": [MESSAGE], "text": "text"},
        {"message": MESSAGE},
        Command(update={"messages": [MESSAGE]}),
        [Command(update={"messages": (MESSAGE, "text")})],
    ],
)
def test_messages_that_a_node_gives_are_found(response: Any) -> None:
    narrow_search()

    assert search(response) == [MESSAGE]
