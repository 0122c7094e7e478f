"""The map of node types: one entry makes a type complete."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

import pytest

from graphs.nodes import NODE_TYPES
from graphs.spec.agent_spec import spec_json_schema
from graphs.spec.node_spec import NodeSpec


@pytest.mark.parametrize("name", NODE_TYPES)
def test_key_of_a_node_type_is_the_literal_type_of_its_spec(name: str) -> None:
    annotation = NODE_TYPES[name].spec.model_fields["type"].annotation

    assert get_origin(annotation) is Literal
    assert get_args(annotation) == (name,)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_node_type_is_in_the_json_schema_of_agent_files(name: str) -> None:
    schema = spec_json_schema()

    (any_node,) = schema["properties"]["nodes"]["patternProperties"].values()
    mapping = any_node["discriminator"]["mapping"]

    assert mapping[name].endswith(NODE_TYPES[name].spec.__name__)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_main_part_of_a_node_type_is_one_of_its_parts(name: str) -> None:
    node_type = NODE_TYPES[name]

    if node_type.parts is not None and isinstance(node_type.main_part, str):
        assert node_type.main_part in node_type.parts


def test_every_node_spec_is_in_the_map() -> None:
    specs = {spec for spec in NodeSpec.__subclasses__() if spec.__module__.startswith("graphs.")}

    assert {node_type.spec for node_type in NODE_TYPES.values()} == specs
