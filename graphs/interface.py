"""An agent's input and output: their schemas, the checking of input, the picking of output.

Owns the error `invalid_input`. Two kinds: `DeclaredInterface` of a YAML agent, `SchemaInterface` of
a graph written in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from langchain_core.messages import BaseMessage

from config.errors import Invalid, nearest
from config.json_values import find_unstorable, is_plain
from graphs.compile.compiler import BuiltGraph
from graphs.spec.channel_types import JSON_TYPES
from graphs.spec.channels import Channel, InputField
from graphs.spec.fields import check_fields, fields_schema
from graphs.templates.expressions import Expressions, Template
from tools.json_schema.schema import JsonSchema


class Interface(Protocol):
    """What goes into a graph and what comes out."""

    @property
    def input_schema(self) -> dict[str, Any]: ...

    @property
    def output_schema(self) -> dict[str, Any]: ...

    def initial_state(
        self, input: Any, exposure: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the graph's first writes. Raises `Invalid` (`invalid_input`) naming the field."""
        ...

    def pick(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the output out of the state's values, as they are: not all of it may be JSON."""
        ...


@dataclass(frozen=True)
class DeclaredInterface:
    """The interface that a YAML agent declares."""

    agent: str
    fields: Mapping[str, InputField]
    outputs: Mapping[str, Template]
    graph: BuiltGraph

    @property
    def input_schema(self) -> dict[str, Any]:
        return fields_schema(self.fields)

    @property
    def output_schema(self) -> dict[str, Any]:
        properties = {
            # An output that is a channel has its type; of any other template it is not known.
            name: _output_property(self.graph.channels.get(template.source.strip("{ }")))
            for name, template in self.outputs.items()
        }
        return {"type": "object", "properties": properties}

    def initial_state(
        self, input: Any, exposure: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        def make_error(name: str, reason: str) -> Invalid:
            return _invalid_input(self.agent, name, reason)

        _check_storable(self.agent, input)
        return self.graph.initial_state(check_fields(self.fields, input, make_error), exposure)

    def pick(self, values: Mapping[str, Any]) -> dict[str, Any]:
        view = {**self.graph.empty, **values}
        return {name: template.value(view) for name, template in self.outputs.items()}


@dataclass(frozen=True)
class SchemaInterface:
    """The interface of a graph written in Python, from LangGraph's own schemas."""

    agent: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]

    def initial_state(
        self, input: Any, exposure: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        values = {} if input is None else input
        if not isinstance(values, Mapping):
            raise _invalid_input(self.agent, "", "must be an object.")
        _check_storable(self.agent, values)
        fields = self.input_schema.get("properties", {})
        for name in values:
            if name not in fields:
                hint = nearest(str(name), fields)
                raise _invalid_input(self.agent, str(name), f"there is no such field. {hint}")
        if (error := self._checked.find_error_here(values)) is not None:
            field = ".".join(map(str, error.absolute_path))
            raise _invalid_input(self.agent, field, error.message)
        return dict(values)

    def problem(self) -> str | None:
        """Return why input cannot be checked by the schema; None where it can."""
        return self._checked.problem()

    @cached_property
    def _checked(self) -> JsonSchema:
        return JsonSchema(self.input_schema)

    def pick(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: values.get(name) for name in self.output_schema.get("properties", {})}


def output_templates(
    declared: str | list[str] | Mapping[str, str], expressions: Expressions
) -> dict[str, Template]:
    """Compile the template of each output. Raises as `Expressions.template` does."""
    if isinstance(declared, Mapping):
        return {name: expressions.template(source) for name, source in declared.items()}
    names = [declared] if isinstance(declared, str) else declared
    return {name: expressions.template(f"{{{{ {name} }}}}") for name in names}


def _output_property(channel: Channel | None) -> dict[str, Any]:
    """Return the schema of a channel's value, which is null where no step that ran wrote one."""
    if channel is None:
        return {}
    schema = dict(JSON_TYPES[channel.type])
    if channel.description:
        schema["description"] = channel.description
    if "type" in schema:
        types = schema["type"]
        schema["type"] = [*([types] if isinstance(types, str) else types), "null"]
    return schema


def as_json(value: Any) -> Any:
    """Turn a state's value into JSON: messages become objects."""
    # Most are JSON already, which takes no step of Python for each of what may be millions.
    return value if is_plain(value) else _converted(value)


def _converted(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return {"type": value.type, **value.model_dump(mode="json", exclude_defaults=True)}
    if isinstance(value, Mapping):
        return {str(key): _converted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_converted(item) for item in value]
    return value


def _check_storable(agent: str, input: Any) -> None:
    if flaw := find_unstorable(input):
        raise _invalid_input(agent, flaw.path, flaw.reason)


def _invalid_input(agent: str, name: str, reason: str) -> Invalid:
    return Invalid(
        f"Input of agent '{agent}'{f', {name}' if name else ''}: {reason}",
        code="invalid_input",
        details={"field": f"input.{name}" if name else "input", "agent": agent},
    )
