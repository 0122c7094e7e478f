"""An agent's input and output: their schemas, the checking of input, the picking of output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from langchain_core.messages import BaseMessage
from referencing import Registry

from config.errors import Invalid, nearest
from graphs.compile.compiler import Graph
from graphs.compile.state import JSON_TYPES
from graphs.spec.fields import field_values, fields_schema
from graphs.spec.parts import InputField
from graphs.templates.expressions import Expressions, Template


class Interface(Protocol):
    """What goes into a graph and what comes out."""

    @property
    def input_schema(self) -> dict[str, Any]: ...

    @property
    def output_schema(self) -> dict[str, Any]: ...

    def begin(self, input: Any) -> dict[str, Any]:
        """The graph's first writes. Raises `Invalid` naming the field."""
        ...

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The output as JSON, out of the state."""
        ...


@dataclass(frozen=True)
class DeclaredInterface:
    """The interface that a YAML agent declares."""

    agent: str
    fields: Mapping[str, InputField]
    outputs: Mapping[str, Template]
    graph: Graph

    @property
    def input_schema(self) -> dict[str, Any]:
        return fields_schema(self.fields)

    @property
    def output_schema(self) -> dict[str, Any]:
        properties = {}
        for name, template in self.outputs.items():
            channel = self.graph.channels.get(template.source.strip("{ }"))
            properties[name] = dict(JSON_TYPES[channel.type]) if channel else {}
            if channel and channel.description:
                properties[name]["description"] = channel.description
        return {"type": "object", "properties": properties}

    def begin(self, input: Any) -> dict[str, Any]:
        def wrong(name: str, why: str) -> Invalid:
            return _wrong(self.agent, name, why)

        return self.graph.begin(field_values(self.fields, input, wrong))

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]:
        view = {**self.graph.empty, **values}
        return {name: as_json(template.value(view)) for name, template in self.outputs.items()}


@dataclass(frozen=True)
class SchemaInterface:
    """The interface of a graph written in Python, from LangGraph's own schemas."""

    agent: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]

    def begin(self, input: Any) -> dict[str, Any]:
        given = {} if input is None else input
        if not isinstance(given, Mapping):
            raise _wrong(self.agent, "", "must be an object.")
        known = self.input_schema.get("properties", {})
        for name in given:
            if name not in known:
                hint = nearest(str(name), known)
                raise _wrong(self.agent, str(name), f"there is no such field. {hint}")
        validator = Draft202012Validator(self.input_schema, registry=Registry())
        if (error := best_match(validator.iter_errors(given))) is not None:
            raise _wrong(self.agent, ".".join(map(str, error.absolute_path)), error.message)
        return dict(given)

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]:
        names = self.output_schema.get("properties", {})
        return {name: as_json(values.get(name)) for name in names}


def outputs(
    declared: str | list[str] | Mapping[str, str], expressions: Expressions
) -> dict[str, Template]:
    """The template of each output. Raises as `Expressions.template` does."""
    if isinstance(declared, Mapping):
        return {name: expressions.template(source) for name, source in declared.items()}
    names = [declared] if isinstance(declared, str) else declared
    return {name: expressions.template(f"{{{{ {name} }}}}") for name in names}


def as_json(value: Any) -> Any:
    """A state's value as JSON: messages become objects."""
    if isinstance(value, BaseMessage):
        return {"type": value.type, **value.model_dump(mode="json", exclude_defaults=True)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value


def _wrong(agent: str, name: str, why: str) -> Invalid:
    return Invalid(
        f"Input of agent '{agent}'{f', {name}' if name else ''}: {why}",
        code="invalid_input",
        details={"field": f"input.{name}" if name else "input", "agent": agent},
    )
