"""Stretches of a stored list: they tell what has changed, and give out what nobody else changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs.parts.chunks import Chunk, EncodedChunk, FrozenChunk, MessageChunk, make_chunk

SERDE = JsonPlusSerializer()


def of_texts() -> list[Any]:
    return ["a" * 10, "b" * 10, 1, 2.5, None, True, b"x"]


def of_dicts() -> list[Any]:
    return [{"role": "user", "tags": ["a"]}, ["x", {"y": 1}], "text"]


def of_messages() -> list[Any]:
    call = {"name": "search", "args": {"q": ["x"]}, "id": "1", "type": "tool_call"}
    return [
        HumanMessage("hello", id="1", name="me"),
        AIMessage("", id="2", tool_calls=[call], response_metadata={"model": {"a": 1}}),
        ToolMessage("found", tool_call_id="1", id="3", artifact={"n": 1}),
    ]


def of_odd_messages() -> list[Any]:
    return [ToolMessage("found", tool_call_id="1", artifact=datetime(2026, 1, 1, tzinfo=UTC))]


CASES = [
    (of_texts, FrozenChunk),
    (of_dicts, EncodedChunk),
    (of_messages, MessageChunk),
    (of_odd_messages, EncodedChunk),
]


def change_text(items: list[Any]) -> None:
    items[0] = items[0] + "!"


def change_type(items: list[Any]) -> None:
    items[5] = 1  # as True is


def change_inner(items: list[Any]) -> None:
    items[0]["tags"].append("b")


def change_number(items: list[Any]) -> None:
    items[1][1]["y"] = True


def change_content(items: list[Any]) -> None:
    items[0].content = "bye"


def change_call(items: list[Any]) -> None:
    items[1].tool_calls[0]["args"]["q"].append("y")


def change_kind(items: list[Any]) -> None:
    items[0] = AIMessage("hello", id="1", name="me")


@pytest.mark.parametrize(("make", "kind"), CASES)
def test_a_chunk_gives_out_what_a_reader_of_the_disk_would_get(
    make: Callable[[], list[Any]], kind: type[Chunk]
) -> None:
    items = make()
    chunk = make_chunk(items, SERDE)

    assert isinstance(chunk, kind)
    assert chunk.holds(make() if kind is not FrozenChunk else items)
    assert list(chunk.copy()) == SERDE.loads_typed(SERDE.dumps_typed(items))


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (of_texts, change_text),
        (of_texts, change_type),
        (of_dicts, change_inner),
        (of_dicts, change_number),
        (of_messages, change_content),
        (of_messages, change_call),
        (of_messages, change_kind),
    ],
)
def test_a_change_where_an_item_stands_is_seen_and_changes_no_copy(
    make: Callable[[], list[Any]], change: Callable[[list[Any]], None]
) -> None:
    items = make()
    chunk = make_chunk(items, SERDE)
    copy = list(chunk.copy())

    change(items)
    change(copy)

    assert not chunk.holds(items)
    assert list(chunk.copy()) == make()


def test_messages_given_out_are_like_those_of_the_serializer() -> None:
    messages = of_messages()

    for ours, theirs in zip(
        make_chunk(messages, SERDE).copy(),
        SERDE.loads_typed(SERDE.dumps_typed(messages)),
        strict=True,
    ):
        assert type(ours) is type(theirs)
        assert vars(ours) == vars(theirs)
        assert ours.model_dump() == theirs.model_dump()
        assert ours.model_fields_set == theirs.model_fields_set
        ours.additional_kwargs["x"] = 1
