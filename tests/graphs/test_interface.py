"""Values of a state as JSON."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage

from graphs.interface import as_json


@pytest.mark.parametrize("value", [[1, 2.5, "a", True, None], [], "text", 5, None])
def test_scalars_and_lists_of_them_are_not_gone_through(value: Any) -> None:
    """A list may hold millions: it is the same one afterwards."""
    assert as_json(value) is value


def test_messages_anywhere_in_a_state_become_objects() -> None:
    shown = as_json({"all": [1, (AIMessage("hi"),), {2: AIMessage("ho")}]})

    [one, [first], second] = shown["all"]
    assert one == 1
    assert (first["type"], first["content"]) == ("ai", "hi")
    assert second["2"]["content"] == "ho"
