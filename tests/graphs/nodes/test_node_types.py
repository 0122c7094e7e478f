"""The map of node types: one entry makes a type complete."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal, get_args, get_origin

import pytest

from config.errors import Invalid
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.nodes import NODE_TYPES
from graphs.spec.agent_spec import spec_json_schema
from graphs.spec.node_spec import NodeSpec
from tests.support.graph_runs import run_node
from tests.support.graphs import context


@pytest.mark.parametrize("name", NODE_TYPES)
def test_key_of_a_node_type_is_the_literal_type_of_its_spec(name: str) -> None:
    annotation = NODE_TYPES[name].spec.model_fields["type"].annotation

    assert get_origin(annotation) is Literal
    assert get_args(annotation) == (name,)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_node_type_is_in_the_json_schema_of_agent_files(name: str) -> None:
    schema = spec_json_schema()

    any_node, _ = schema["properties"]["nodes"]["patternProperties"].values()
    mapping = any_node["discriminator"]["mapping"]

    assert mapping[name].endswith(NODE_TYPES[name].spec.__name__)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_main_part_of_a_node_type_is_one_of_its_parts(name: str) -> None:
    node_type = NODE_TYPES[name]

    if node_type.parts is not None and isinstance(node_type.main_part, str):
        assert node_type.main_part in node_type.parts


def test_every_node_spec_is_in_the_map() -> None:
    specs = {spec for spec in leaves(NodeSpec) if spec.__module__.startswith("graphs.")}

    assert {node_type.spec for node_type in NODE_TYPES.values()} == specs


def leaves(spec: type[NodeSpec]) -> Iterator[type[NodeSpec]]:
    """The specs that are no base of others."""
    below = spec.__subclasses__()
    yield from chain.from_iterable(map(leaves, below)) if below else [spec]


# A type that is not in the map


class ShoutSpec(NodeSpec):
    """Says a text louder."""

    type: Literal["shout"]
    text: str


def build_shout(spec: ShoutSpec, scope: CompileScope) -> CompiledNode:
    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        context.emit("progress", loud=True)
        return {"text": f"{inputs['text']}!".upper()}

    return CompiledNode({"text": scope.template("text", spec.text)}, run)


SHOUT = NodeType(ShoutSpec, build_shout, parts={"text": "string"}, main_part="text")


async def test_node_type_runs_alone_with_what_every_node_has() -> None:
    fields = {"type": "shout", "text": "{{ word }}", "save": "answer", "when": "word != ''"}

    transcript = await run_node(SHOUT, fields, {"word": "hello"}, context())

    assert transcript.values["answer"] == "HELLO!"
    assert transcript.kinds("progress")[0]["loud"] is True


async def test_node_type_reports_a_wrong_template_before_it_runs() -> None:
    fields = {"type": "shout", "text": "{{ wrd }}", "save": "answer"}

    with pytest.raises(Invalid, match="Did you mean 'word'"):
        await run_node(SHOUT, fields, {"word": "hello"}, context())
