"""An agent as its YAML file says it, and the file's problems in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from config.errors import nearest
from graphs.nodes import NODE_TYPES, Node
from graphs.spec.parts import (
    AGENT_NAME,
    MAX_NODES,
    AnyChannel,
    AnyInputField,
    Branch,
    Cache,
    Channel,
    ChannelName,
    InputField,
    Name,
    Next,
    OnError,
    Retry,
    Strict,
)
from graphs.spec.problems import Path, Problems
from graphs.spec.source import read_source

SHORT = 40
"""Characters of a list or an object that is written on one line."""
SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"
PARTS: Mapping[str, type[BaseModel]] = {
    "retry": Retry,
    "cache": Cache,
    "on_error": OnError,
    "branches": Branch,
    "edges": Branch,
    "input": InputField,
    "state": Channel,
}


class AgentSpec(Strict):
    """One agent: typed input, channels, nodes, edges, output."""

    version: Literal[1] = Field(description="The version of this format.")
    name: str = Field(pattern=f"^{AGENT_NAME.pattern}$")
    description: str = ""
    input: dict[ChannelName, AnyInputField] = Field(default_factory=dict)
    state: dict[ChannelName, AnyChannel] = Field(default_factory=dict)
    nodes: dict[Name, Node] = Field(min_length=1, max_length=MAX_NODES)
    edges: dict[Name, Next] | None = Field(
        None, description="What follows each node. Without edges, nodes run in order."
    )
    output: ChannelName | list[ChannelName] | dict[ChannelName, str] = Field(
        description="Channels, or name: template."
    )
    max_steps: int | None = Field(None, ge=1, le=100_000, description="A bound on all steps.")

    def to_yaml(self) -> str:
        """The YAML that reads back as this spec, long texts as blocks."""
        return to_yaml(self.model_dump(mode="json", by_alias=True, exclude_unset=True))


def read_spec(text: str | bytes, file: str | None = None) -> tuple[AgentSpec, Problems]:
    """The spec of a YAML file, and its problems object, which knows the file's lines.

    Raises `Invalid(code="invalid_agent")` with every problem found.
    """
    source = read_source(text, file)
    problems = source.problems
    if not isinstance(source.value, dict):
        problems.add((), "an agent is a list of `key: value` lines; begin with `version: 1`.")
        problems.check()
    try:
        return AgentSpec.model_validate(source.value), problems
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            _add(problems, each, source.value)
        raise problems.error() from error


def spec_json_schema() -> dict[str, Any]:
    """The JSON Schema of agent files, for editors that complete and check YAML."""
    schema = AgentSpec.model_json_schema(by_alias=True)
    return {"$schema": SCHEMA_ID, **schema, "title": "Motet agent"}


def to_yaml(value: Any) -> str:
    """Plain data as YAML, in the order given, long texts as blocks, short lists on a line."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, _is_short(list(sequence)))

    def represent_mapping(
        self, tag: str, mapping: Any, flow_style: bool | None = None
    ) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, _is_short(list(mapping.values())))


def _is_short(values: list[Any]) -> bool:
    plain = not any(isinstance(value, dict | list) for value in values)
    return plain and sum(len(str(value)) for value in values) <= SHORT


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _add(problems: Problems, error: ErrorDetails, data: Any) -> None:
    kind, context = error["type"], error.get("ctx", {})
    path = _path(error["loc"], data)
    last = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        known = _known(path[:-1], data)
        problems.add(path, f"there is no key '{last}' here.", nearest(last, known))
    elif kind == "missing":
        problems.add((*path, last), "is required.")
    elif kind == "union_tag_not_found":
        problems.add((*path, "type"), "is required.", nearest("", list(NODE_TYPES)))
    elif kind == "union_tag_invalid":
        tag = str(context.get("tag"))
        message = f"there is no node type '{tag}'."
        problems.add((*path, "type"), message, nearest(tag, list(NODE_TYPES)))
    elif kind == "literal_error":
        problems.add(path, f"must be {context.get('expected')}.")
    elif last == "[key]" or kind == "string_pattern_mismatch":
        message = f"'{path[-1] if last == '[key]' else ''}' is not a name.".replace("'' ", "this ")
        problems.add(path, message, f"A name matches {context.get('pattern')}.")
    else:
        message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
        problems.add(path, message if message.endswith(".") else f"{message}.")


def _path(loc: tuple[int | str, ...], data: Any) -> Path:
    """The place in the file: without the names of models and shorthands that pydantic adds."""
    path: list[str | int] = []
    here = data
    for part in loc:
        known = (isinstance(here, dict) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        )
        if known:
            path.append(part)
            here = here[part]
    return tuple(path)


def _known(path: Path, data: Any) -> list[str]:
    """The keys that may stand at a place."""
    model: type[BaseModel] = AgentSpec
    here = data
    for number, part in enumerate(path):
        here = here[part]
        if number and path[number - 1] == "nodes" and isinstance(here, dict):
            kind = NODE_TYPES.get(str(here.get("type")))
            model = kind.spec if kind else model
        elif isinstance(part, str):
            model = PARTS.get(part, model)
    return [field.alias or name for name, field in model.model_fields.items()]
