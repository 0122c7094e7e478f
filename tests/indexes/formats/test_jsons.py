"""JSON and JSON lines: a block for each record."""

from __future__ import annotations

import json

import pytest

from config.errors import Invalid
from indexes.reading.chunks import cut_into_chunks
from indexes.reading.documents import read
from tests.support.documents.checks import headings, parts, read_exactly

PROSE = "The ferry leaves the harbour every morning at seven, whatever the weather may be, and " * 2


def test_nested_keys_are_written_as_paths() -> None:
    record = {
        "id": 7,
        "user": {"name": "Anna", "tags": ["a", "b"]},
        "items": [{"sku": 1}, {"x": 2}],
    }
    expected = "id: 7 | user.name: Anna | user.tags: a, b | items.1.sku: 1 | items.2.x: 2"
    for data, filename in (
        (json.dumps(record), "a.jsonl"),
        (json.dumps([record]), "a.json"),
    ):
        assert parts(read_exactly(data.encode(), filename)) == [("table", expected)]


def test_the_text_of_a_record_comes_first_below_its_title() -> None:
    record = {"lang": "en", "title": "Ferries", "body": PROSE, "year": 2024, "draft": None}
    content = read_exactly(json.dumps([record]).encode(), "a.json")
    assert parts(content) == [
        ("heading", "Ferries"),
        ("paragraph", f"body: {PROSE.strip()}\nlang: en | year: 2024"),
    ]


def test_no_record_stands_below_the_title_of_another() -> None:
    records = [{"title": "Ferries", "body": PROSE}, {"a": 1}, {"name": "Trains", "b": 2}]
    content = read("\n".join(map(json.dumps, records)).encode(), "a.jsonl")
    assert headings(content) == [(1, "Ferries"), (1, "Record 2"), (1, "Trains")]


def test_the_arrays_of_an_object_are_its_records() -> None:
    root = {"version": 2, "users": [{"name": "Anna"}, {"name": "Ben"}], "limits": {"rate": 5}}
    assert parts(read_exactly(json.dumps(root).encode(), "a.json")) == [
        ("table", "version: 2"),
        ("heading", "users"),
        ("table", "name: Anna"),
        ("table", "name: Ben"),
        ("heading", "limits"),
        ("table", "rate: 5"),
    ]


def test_a_long_record_carries_its_title_to_each_of_its_passages() -> None:
    content = read(json.dumps([{"title": "Ferries", "body": PROSE * 20}]).encode(), "a.json")
    found = cut_into_chunks(content, 100)
    assert len(found) > 3
    assert {chunk.heading for chunk in found} == {("Ferries",)}


def test_broken_json_lines_stay_and_are_listed_by_number() -> None:
    content = read_exactly(b'{"a": 1}\n\n{"b": \n[1, 2]\n{"c": 3}', "a.jsonl")
    assert content.metadata == {"broken_lines": [3]}
    assert [text for _, text in parts(content)] == ["a: 1", '{"b":', "1, 2", "c: 3"]


def test_json_lines_called_json_are_read_too() -> None:
    assert len(parts(read(b'{"a": 1}\n{"a": 2}\n', "a.json"))) == 2


@pytest.mark.parametrize(
    ("data", "filename", "why"),
    [
        (b'{"a": 1,\n "b" 2}', "a.json", "line 2"),
        (b"nothing\nof the kind\n", "a.jsonl", "lines 1, 2"),
        (b"", "a.json", "not valid JSON"),
        (b"{}", "a.json", "no text"),
        (b"[" * 100_000, "a.json", "nested too deeply"),
        (b'{"a":' * 100_000, "a.jsonl", "nested too deeply"),
    ],
)
def test_invalid_json_is_refused_with_its_line(data: bytes, filename: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        read(data, filename)
    assert caught.value.code == "unreadable_document"


def test_unstorable_escaped_characters_are_replaced_in_place() -> None:
    content = read_exactly(rb'{"a": "x\ud800y\u0000z"}', "a.json")
    assert content.text == "a: x�y�z"


def test_numbers_of_any_length_are_text_or_refused() -> None:
    with pytest.raises(Invalid, match="not valid JSON"):
        read(b'{"a": ' + b"9" * 100_000 + b"}", "a.json")
    assert read(b'{"a": NaN, "b": 1e400}', "a.json").text == "a: nan | b: inf"
