"""Values that JSON has, and a checkpoint cannot hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from config.errors import Invalid
from config.json_values import (
    MAX_DEPTH,
    check_storable,
    find_unstorable,
    is_deeper,
    is_plain,
    parse_json,
)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def circular() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def doubled() -> Any:
    value: Any = [1]
    for _ in range(60):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (2**63, ""),
        ({"a": [1, {"b": -(2**63) - 1}]}, "a.1.b"),
        ([float("nan")], "0"),
        ({"x": float("-inf")}, "x"),
        (["fine", "\ud800"], "1"),
        ({"a": {"\udfff": 1}}, "a"),
        ({"a": {(1, 2): 3}}, "a"),
        (({2**70},), "0.0"),
        ([HumanMessage("half \ud83d")], "0.content"),
        (
            AIMessage("", tool_calls=[{"name": "t", "args": {"n": 2**64}, "id": "1"}]),
            "tool_calls.0.args.n",
        ),
        (nested(MAX_DEPTH + 1), ""),
        (circular(), ""),
        (doubled(), ""),
    ],
    ids=range(13),
)
def test_flaw_is_found_with_its_path(value: Any, path: str) -> None:
    flaw = find_unstorable(value)

    assert flaw is not None
    assert flaw.path == path


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 2**63 - 1, -(2**63), -0.0, 1e308, "", "a\0b", "ü 🎵", {"\0": 1}),
        *({1: 2}, {None: 1}, datetime.now(UTC), b"bytes", nested(MAX_DEPTH - 4)),
        HumanMessage("hello"),
    ],
)
def test_what_can_be_kept_has_no_flaw(value: Any) -> None:
    assert find_unstorable({"value": [value]}) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_has_no_flaw_is_the_same_after_json(value: Any) -> None:
    if find_unstorable(value) is None:
        assert repr(parse_json(orjson.dumps(value))) == repr(value)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("9223372036854775808", "body"),
        ('{"n": 123456789012345678901234567890}', "n"),
        ('{"a": [0, {"b": -9223372036854775809}]}', "a.1.b"),
    ],
)
def test_parsing_refuses_a_number_that_would_lose_digits(text: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_json(text)

    assert caught.value.details["field"] == field


@pytest.mark.parametrize("text", ["NaN", "1e999", '"\\ud800"', "1" * 400, "[" * 2000])
def test_parsing_refuses_what_is_no_json(text: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        parse_json(text)


def test_long_number_in_a_deep_body_is_refused_in_words() -> None:
    with pytest.raises(Invalid):
        parse_json("[" * 1000 + "1" * 19 + "0" + "]" * 1000)


@pytest.mark.parametrize("text", ["x", b"x", "ü"])
def test_more_text_than_a_database_holds_in_one_place_is_a_flaw(
    monkeypatch: pytest.MonkeyPatch, text: Any
) -> None:
    monkeypatch.setattr("config.json_values.MAX_CHARS", 1000)

    assert find_unstorable({"a": [text * 500, text * 500]}) is None
    assert find_unstorable({"a": [text * 500, text * 501]}) == (
        "",
        "there are more than 1000 characters in it.",
    )


def test_check_names_subject_and_place() -> None:
    with pytest.raises(Invalid, match="Node 'a' gives what cannot be kept") as caught:
        check_storable([2**64], "Node 'a'", "b", node="a")

    assert caught.value.code == "unstorable_value"
    assert caught.value.details == {"node": "a", "field": "b.0"}


def test_value_that_holds_itself_is_not_plain() -> None:
    assert not is_plain(circular())
    assert is_deeper(circular(), 64)


@pytest.mark.parametrize("innermost", [[], {}, [1], {"a": 1}])
def test_depth_counts_lists_and_objects_empty_ones_too(innermost: Any) -> None:
    value = [{"a": [innermost]}]

    assert is_deeper(value, 3)
    assert not is_deeper(value, 4)
