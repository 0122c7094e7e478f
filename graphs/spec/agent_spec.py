"""An agent as its YAML file declares it: reading, checking, and the JSON schema for editors.

Owns the top level of the file. The fields of each node type stand in its module in `graphs.nodes`.
The words for a wrong file are `validation`'s, writing YAML `yaml_writer`'s.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from graphs.nodes import NODE_TYPES, AnyNode
from graphs.spec.base import AGENT_NAME, MAX_NODES, ChannelName, Name, SpecModel
from graphs.spec.branches import Next
from graphs.spec.channels import AnyChannel, AnyInputField
from graphs.spec.problems import Problems
from graphs.spec.source import read_source
from graphs.spec.validation import report_errors
from graphs.spec.yaml_writer import write_yaml

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


class AgentSpec(SpecModel):
    """One agent: typed input, channels, nodes, edges, output."""

    names_within = frozenset(("input", "state", "nodes", "edges", "output"))

    version: Literal[1] = Field(description="The version of this format.")
    name: str = Field(pattern=f"^{AGENT_NAME.pattern}$")
    description: str = ""
    input: dict[ChannelName, AnyInputField] = Field(default_factory=dict)
    state: dict[ChannelName, AnyChannel] = Field(default_factory=dict)
    nodes: dict[Name, AnyNode] = Field(min_length=1, max_length=MAX_NODES)
    edges: dict[Name, Next] | None = Field(
        None, description="What follows each node. Without edges, nodes run in order."
    )
    output: ChannelName | list[ChannelName] | dict[ChannelName, str] = Field(
        description="Channels, or name: template."
    )
    max_steps: int | None = Field(None, ge=1, le=100_000, description="A bound on all steps.")

    def to_yaml(self) -> str:
        """Write the YAML that reads back as this spec, long texts as blocks."""
        return write_yaml(self.model_dump(mode="json", by_alias=True, exclude_unset=True))


def read_spec(text: str | bytes, file: str | None = None) -> tuple[AgentSpec, Problems]:
    """Read the spec of a YAML file, and its problems object, which knows the file's lines.

    Raises `Invalid` (`invalid_agent`) with every problem of the file's form. What is wrong with
    templates and edges is added to the problems when the spec is compiled.
    """
    parsed = read_source(text, file)
    problems = parsed.problems
    if not isinstance(parsed.value, dict):
        problems.add((), "an agent is a list of `key: value` lines; begin with `version: 1`.")
        problems.check()
    try:
        return AgentSpec.model_validate(parsed.value), problems
    except ValidationError as error:
        node_specs = {name: node_type.spec for name, node_type in NODE_TYPES.items()}
        report_errors(error, parsed.value, problems, AgentSpec, node_specs)
        raise problems.error() from error


def spec_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of agent files, for editors that complete and check YAML."""
    schema = AgentSpec.model_json_schema(by_alias=True)
    return {"$schema": SCHEMA_ID, **schema, "title": "Motet agent"}
