"""An agent's input and output: their schemas, the checking of input, the picking of output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from langchain_core.messages import BaseMessage, convert_to_messages

from config.errors import Invalid, nearest
from graphs.compiler import Graph
from graphs.expressions import Template, expressions
from graphs.parts import InputField
from graphs.state import JSON_TYPES, fits


class Interface(Protocol):
    """What goes into a graph and what comes out."""

    @property
    def input_schema(self) -> dict[str, Any]: ...

    @property
    def output_schema(self) -> dict[str, Any]: ...

    def begin(self, input: Any) -> dict[str, Any]: ...

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class DeclaredInterface:
    """The interface that a YAML agent declares."""

    agent: str
    fields: Mapping[str, InputField]
    outputs: Mapping[str, Template]
    graph: Graph

    @property
    def input_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: _property(field) for name, field in self.fields.items()},
            "required": [name for name, field in self.fields.items() if field.required],
            "additionalProperties": False,
        }
        return schema

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
        given = _object(input, self.agent)
        for name in given:
            if name not in self.fields:
                raise self._wrong(name, f"there is no such field. {nearest(name, self.fields)}")
        values = {name: self._value(name, field, given) for name, field in self.fields.items()}
        return self.graph.begin(values)

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]:
        view = {**self.graph.empty, **values}
        return {name: as_json(template.value(view)) for name, template in self.outputs.items()}

    def _value(self, name: str, field: InputField, given: Mapping[str, Any]) -> Any:
        if name not in given:
            if field.required:
                raise self._wrong(name, "is required.")
            return field.default
        value = given[name]
        if value is None and field.required:
            raise self._wrong(name, "is required, and null is no value.")
        if field.type == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)
        if not fits(field.type, value):
            raise self._wrong(name, f"must be {_a(field.type)}, not {_a(_kind(value))}.")
        if field.enum is not None and value not in field.enum:
            raise self._wrong(name, f"must be one of {', '.join(map(repr, field.enum))}.")
        return (
            _messages(value, lambda why: self._wrong(name, why))
            if field.type == "messages"
            else value
        )

    def _wrong(self, name: str, why: str) -> Invalid:
        return Invalid(
            f"Input of agent '{self.agent}', {name}: {why}",
            code="invalid_input",
            details={"field": f"input.{name}", "agent": self.agent},
        )


@dataclass(frozen=True)
class SchemaInterface:
    """The interface of a graph written in Python, from LangGraph's own schemas."""

    agent: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]

    def begin(self, input: Any) -> dict[str, Any]:
        given = _object(input, self.agent)
        known = self.input_schema.get("properties", {})
        for name in given:
            if name not in known:
                raise self._wrong(name, f"there is no such field. {nearest(name, known)}")
        error = best_match(Draft202012Validator(self.input_schema).iter_errors(given))
        if error is not None:
            raise self._wrong(".".join(map(str, error.absolute_path)), error.message)
        return dict(given)

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]:
        names = self.output_schema.get("properties", {})
        return {name: as_json(values.get(name)) for name in names}

    def _wrong(self, name: str, why: str) -> Invalid:
        field = f"input.{name}" if name else "input"
        return Invalid(
            f"Input of agent '{self.agent}', {name or 'as a whole'}: {why}",
            code="invalid_input",
            details={"field": field, "agent": self.agent},
        )


def outputs(declared: str | list[str] | Mapping[str, str]) -> dict[str, Template]:
    """The template of each output. Raises as `Expressions.template` does."""
    if isinstance(declared, Mapping):
        return {name: expressions().template(source) for name, source in declared.items()}
    names = [declared] if isinstance(declared, str) else declared
    return {name: expressions().template(f"{{{{ {name} }}}}") for name in names}


def as_json(value: Any) -> Any:
    """A state's value as JSON: messages become objects."""
    if isinstance(value, BaseMessage):
        return value.model_dump(mode="json", exclude_defaults=True) | {"type": value.type}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value


def _object(input: Any, agent: str) -> Mapping[str, Any]:
    if input is None:
        return {}
    if not isinstance(input, Mapping):
        raise Invalid(
            f"The input of agent '{agent}' must be an object, not {_a(_kind(input))}.",
            code="invalid_input",
            details={"field": "input", "agent": agent},
        )
    return input


def _messages(value: Any, wrong: Any) -> Any:
    items = value if isinstance(value, list | tuple) else [value]
    try:
        convert_to_messages(items)
    except (ValueError, NotImplementedError, TypeError, KeyError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise wrong(f"this is not a list of chat messages: {text}") from error
    return list(items)


def _property(field: InputField) -> dict[str, Any]:
    schema = dict(JSON_TYPES[field.type])
    if field.description:
        schema["description"] = field.description
    if not field.required:
        schema["default"] = field.default
    if field.enum is not None:
        schema["enum"] = field.enum
    return schema


def _kind(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list"}
    return kinds.get(type(value), "object" if isinstance(value, Mapping) else "null")


def _a(kind: str) -> str:
    return (
        kind
        if kind in ("messages", "any", "null")
        else f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
    )
