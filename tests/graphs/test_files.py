"""Input fields that take files: what they accept, and what their schema says."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import Invalid
from tests.support.graph_runs import agent_of_yaml

AGENT = agent_of_yaml(
    """\
input:
  picture: {type: image, description: What to look at.}
  sound: {type: audio, default: null}
nodes:
  a: {type: set, values: {seen: "{{ picture }}"}}
output: [seen]
"""
)
ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "given",
    [
        ID,
        f"artifact:{ID}",
        f"/artifacts/{ID}",
        f"http://127.0.0.1:8000/artifacts/{ID}",
        {"id": ID, "media_type": "image/png"},
        {"artifact": {"id": ID}},
        {"artifact": ID},
        "https://example.org/a.png",
        "data:image/png;base64,AAAA",
    ],
)
def test_file_field_takes_every_kind_of_reference(given: Any) -> None:
    assert AGENT.initial_state({"picture": given})["picture"] == given


@pytest.mark.parametrize(
    "given", ["photo.jpg", "file:///etc/passwd", ID[:-1], {}, {"id": "x"}, 3, ["a"]]
)
def test_file_field_refuses_what_is_no_reference(given: Any) -> None:
    with pytest.raises(Invalid) as caught:
        AGENT.initial_state({"picture": given})
    assert caught.value.details["field"] == "input.picture"


def test_the_schema_says_which_fields_take_files() -> None:
    fields = AGENT.input_schema["properties"]
    assert fields["picture"] == {
        "type": ["string", "object"],
        "format": "image",
        "description": "What to look at.",
    }
    assert (fields["sound"]["format"], fields["sound"]["default"]) == ("audio", None)
