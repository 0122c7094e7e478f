"""Values of a state as JSON."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage

from graphs.interface import as_json

PLAIN = [[1, 2.5, "a", True, None], [], "text", 5, None, {"a": [{}, [[{"b": 1}]]]}]


@pytest.mark.parametrize("value", PLAIN)
def test_what_is_json_already_is_not_copied(value: Any) -> None:
    assert as_json(value) is value


def test_messages_anywhere_in_a_state_become_objects() -> None:
    shown = as_json({"all": [1, (AIMessage("hi"),), {2: AIMessage("ho")}]})

    [one, [first], second] = shown["all"]
    assert one == 1
    assert (first["type"], first["content"]) == ("ai", "hi")
    assert second["2"]["content"] == "ho"


def test_names_that_are_no_texts_become_texts_at_any_depth() -> None:
    assert as_json([[{"a": {1: (2,)}}]]) == [[{"a": {"1": [2]}}]]
