"""Values of channels over many versions: each is read as it was, and what is new is written."""

from __future__ import annotations

import copy
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs.parts.part_reader import PartReader
from runs.parts.part_writer import LARGE_CHARACTERS, LargeTexts, PartNumbers, PartWriter
from runs.parts.reference import Reference
from runs.parts.stored_values import MIN_BYTES, StoredValue, load, read, store

KEY = "tenant/thread"
SERDE = JsonPlusSerializer()
TEXT = "w" * 500


class Channel:
    """One channel's versions, stored one after another; what they were is kept for comparison."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute(
            "CREATE TABLE parts (thread_id TEXT, part_id INTEGER, data BLOB, "
            "PRIMARY KEY (thread_id, part_id))"
        )
        self.numbers = PartNumbers()
        self.texts = LargeTexts()
        self.known: StoredValue | None = None
        self.versions: list[tuple[Reference, Any]] = []
        self.written: list[int] = []

    def put(self, value: Any, expected: Any = None) -> None:
        """Store a version. `expected` is what is read of it, where that is known."""
        writer = PartWriter(SERDE, self.numbers, self.texts)
        self.known = store(value, self.known, writer, SERDE)
        data = writer.data()
        self.written.append(len(data) if writer else 0)
        if writer:
            self.connection.execute("INSERT INTO parts VALUES (?, ?, ?)", (KEY, writer.part, data))
        if self.known:
            self.versions.append((self.known.reference, expected or as_stored(value)))

    def reader(self) -> PartReader:
        return PartReader(KEY, SERDE).on(self.connection)

    def forget(self) -> None:
        """As after a start: what is known is read anew."""
        if self.known:
            self.known = load(self.known.reference, self.reader(), SERDE)

    def check(self, reader: PartReader | None = None) -> None:
        """Read every version: with this reader, else each with one of its own."""
        for reference, value in self.versions:
            assert read(reference, reader or self.reader()) == value
        if self.known:
            assert self.known.copy() == self.versions[-1][1]
            assert self.known.holds(self.versions[-1][1]) or not isinstance(self.known.copy(), list)


def as_stored(value: Any) -> Any:
    """What the serializer makes of a value."""
    return SERDE.loads_typed(SERDE.dumps_typed(value))


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    with closing(channel.connection):
        yield channel


def make_item(chance: random.Random, number: int) -> Any:
    return chance.choice(
        [
            f"{number} {TEXT[: chance.randint(1, 500)]}",
            number,
            {"role": "user", "text": f"{number}", "tags": [number]},
            HumanMessage(f"{number}", id=str(number)),
            AIMessage(f"{number}", id=str(number)),
        ]
    )


def change(values: list[Any], chance: random.Random, number: int) -> list[Any]:
    """Make the next version of a list, as reducers and nodes do."""
    new = make_item(chance, number)
    at = chance.randrange(len(values)) if values else 0
    what = chance.randrange(12)
    if what < 6 or not values:
        return [*values, new]
    if what == 6:
        return [*values, *(make_item(chance, number + n) for n in range(chance.randint(2, 90)))]
    if what == 7:
        return values[chance.randrange(len(values)) :]  # a window
    if what == 8:
        return [*values[:at], new, *values[at + 1 :]]
    if what == 9:
        return [*values[:at], *values[at + 1 :]]
    if what == 10:
        item = values[at]
        if isinstance(item, dict):
            item["tags"].append(number)  # where it stands
        elif isinstance(item, AIMessage):
            item.content = f"changed {number}"
        return values
    return chance.sample(values, len(values)) if chance.random() < 0.2 else values


@pytest.mark.parametrize("seed", range(8))
def test_every_version_of_a_list_is_read_as_it_was(channel: Channel, seed: int) -> None:
    chance = random.Random(seed)
    values: list[Any] = []

    for number in range(100):
        values = change(values, chance, 1000 * number)
        channel.put(values)
        if chance.random() < 0.1:
            channel.forget()
        if chance.random() < 0.1 and channel.known:
            values = channel.known.copy()  # as the next run gets it

    channel.check()


@pytest.mark.parametrize("seed", range(4))
def test_every_version_of_a_dict_is_read_as_it_was(channel: Channel, seed: int) -> None:
    chance = random.Random(seed)
    values: dict[str, Any] = {}

    for number in range(100):
        values = {**values, f"name {chance.randrange(200)}": make_item(chance, number)}
        if chance.random() < 0.1:
            values.pop(chance.choice(list(values)))
        channel.put(values)
        if chance.random() < 0.1:
            channel.forget()

    channel.check()
    assert list(channel.known.copy() if channel.known else {}) == list(values)


def test_values_change_their_kind_and_size(channel: Channel) -> None:
    long = 2 * TEXT
    small = ("short", ["x"] * 5, None, [])
    large = (long, [long], {"a": long}, {1: long}, (long,), HumanMessage(long), long.encode())

    for value in (*small, *large, *small, *large[::-1]):
        channel.put(value)

    channel.check()
    assert len(channel.versions) == 2 * len(large)


@pytest.mark.parametrize("make", [str, lambda text: {"text": text}, HumanMessage])
def test_adding_to_a_list_writes_what_was_added_and_little_more(
    channel: Channel, make: Any
) -> None:
    values: list[Any] = []
    expected: list[Any] = []

    for number in range(1500):
        values = [*values, make(f"{number} {TEXT}")]
        # All versions together have a million items: each is to be serialized once.
        expected = [*expected, as_stored(values[-1])]
        channel.put(values, expected)
        if number % 300 == 299:
            channel.forget()

    item = len(SERDE.dumps_typed(values[-1:])[1])
    late = channel.written[-500:]
    assert sum(late) / len(late) < item + 300
    assert max(late) < item + 900
    channel.check(channel.reader())


def test_what_has_not_changed_is_not_written_again(channel: Channel) -> None:
    for value in ("x" * MIN_BYTES, [TEXT, {"a": 1}, HumanMessage("x")], {"a": [TEXT]}, (TEXT, 1)):
        channel.put(value)
        channel.put(copy.deepcopy(value) if not isinstance(value, list) else value)

        assert channel.written[-1] == 0


def test_a_window_that_moves_writes_its_new_items_alone(channel: Channel) -> None:
    values = [f"{number} {TEXT}" for number in range(200)]
    channel.put(values)

    for number in range(200, 230):
        values = [*values[1:], f"{number} {TEXT}"]
        channel.put(values)

    assert max(channel.written[1:]) < len(TEXT) + 1500
    channel.check()


def test_a_large_text_that_moves_is_written_once(channel: Channel) -> None:
    text = "x" * LARGE_CHARACTERS

    for value in ({"input": text}, text, ["a", text, text], {"a": 1, "b": text}):
        channel.put(value)

    assert channel.written[0] > len(text)
    assert max(channel.written[1:]) < 100
    channel.check()
