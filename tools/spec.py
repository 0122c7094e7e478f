"""A tool: a name, a JSON schema, and an async function from JSON to JSON.

Owns checking arguments, the bound on time and the translation of foreign exceptions; every caller
(a node, a model, a route) goes through `Tool.call`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from jsonschema import ValidationError

from config.errors import Invalid, MotetError, TimedOut, Unavailable, nearest
from config.json_values import check_storable
from tools.json_schema.schema import JsonSchema
from tools.user_code.guard import describe, run_guarded, user_code_left
from tools.user_code.time_limit import TimeLimit

JSON: TypeAlias = Any
TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""What every tool-calling model accepts as the name of a function."""


def _ignore_event(event: dict[str, Any]) -> None:
    """Do nothing: nobody listens."""


def _allow_address(url: str) -> None:
    """Do nothing: any address may be fetched."""


Reads = Literal["nothing", "public", "private"]
"""What a tool's result may hold beside what it was given: texts of others, or private ones."""


@dataclass(frozen=True)
class ToolContext:
    """For whom a tool is called, and by which node of which run.

    `emit` sends an observable event and never blocks: as progress, unless its `motet` names another
    kind of event.
    """

    tenant: str
    run_id: str = ""
    emit: Callable[[dict[str, Any]], None] = _ignore_event
    node: str = ""
    check_address: Callable[[str], None] = _allow_address
    """Raises for a URL that may not be fetched; called for each redirect too."""

    def send_event(self, kind: str, **data: Any) -> None:
        """Send an event of a kind: `progress`, `artifact`, `model`, `token`, `thinking`, `warning`.

        Never blocks.
        """
        self.emit({"motet": kind, **data})


RunTool: TypeAlias = Callable[[dict[str, Any], ToolContext], Awaitable[JSON]]


@dataclass(frozen=True)
class Tool:
    """A callable that graphs and tool-calling models share.

    `repeatable` says that a second call does no harm: a step that was cut off runs again.
    `origin` is "shipped", or the file the tool was read from. `addresses` are the arguments whose
    URLs it fetches; None: it may do so with any.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: RunTool = field(repr=False)
    repeatable: bool
    timeout_s: float = 60.0
    origin: str = "shipped"
    reads: Reads = "private"
    addresses: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not TOOL_NAME.fullmatch(self.name):
            raise Invalid(
                f"'{self.name}' cannot name a tool: use letters, digits, '_' and '-', "
                "at most 64, and begin with a letter.",
                details={"field": "name"},
            )
        if problem := self._schema.problem():
            raise Invalid(
                f"Tool '{self.name}': its parameters cannot be used: {problem}",
                details={"field": "parameters", "tool": self.name},
            )

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> JSON:
        """Check the arguments, run the tool and return its result as JSON.

        Raises `Invalid` (`invalid_arguments`) naming the field when `arguments` do not fit the
        schema, `TimedOut` (`tool_timed_out`) after `timeout_s` of work (waiting for a thread does
        not count), `Unavailable` (`tool_failed`) for any foreign exception, be it `SystemExit`, and
        `Invalid` (`unstorable_value`) for a result such as NaN.
        """
        checked = await self.validate(arguments)
        limit = TimeLimit(self.timeout_s)
        try:
            async with limit:
                if self.origin == "shipped":
                    with user_code_left():
                        result = await self.run(checked, context)
                else:
                    result = await run_guarded(lambda: _run(self.run, checked, context))
        except MotetError:
            raise
        except Exception as error:
            # A TimeoutError of the tool's own is a failure of its code.
            if isinstance(error, TimeoutError) and limit.expired:
                raise self._timed_out() from error
            raise Unavailable(
                f"Tool '{self.name}' failed: {describe(error)}",
                code="tool_failed",
                details={"tool": self.name, "origin": self.origin},
            ) from error
        check_storable(result, f"Tool '{self.name}'", "result", tool=self.name)
        return result

    async def validate(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Complete `arguments` by the schema's defaults.

        Raises `Invalid` (`invalid_arguments`) naming the field.
        """
        error = await self._schema.find_error(arguments)
        if error is not None:
            raise self._invalid_arguments(error)
        return {**self._defaults, **arguments}

    def as_function(self, without: Collection[str] = ()) -> dict[str, Any]:
        """Return the declaration that tool-calling models take, without some arguments."""
        parameters = dict(self.parameters)
        for name in ("properties", "required") if without else ():
            if declared := parameters.get(name):
                left = [each for each in declared if each not in without]
                parameters[name] = (
                    {each: declared[each] for each in left} if name == "properties" else left
                )
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}

    def as_dict(self) -> dict[str, Any]:
        """Return the tool as JSON, for people and programs that choose one."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
            "repeatable": self.repeatable,
            # The file's name alone: where it lies is not for callers.
            "origin": self.origin.rpartition("/")[2],
        }

    @cached_property
    def _schema(self) -> JsonSchema:
        return JsonSchema(self.parameters)

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        properties: dict[str, Any] = self.parameters.get("properties", {})
        return {name: part["default"] for name, part in properties.items() if "default" in part}

    def _timed_out(self) -> TimedOut:
        return TimedOut(
            f"Tool '{self.name}' did not answer within {self.timeout_s:g} s.",
            code="tool_timed_out",
            details={"tool": self.name},
        )

    def _invalid_arguments(self, error: ValidationError) -> Invalid:
        name, message = _locate_error(error)
        return Invalid(
            f"Tool '{self.name}'{f', {name}' if name else ''}: {message}",
            code="invalid_arguments",
            details={"tool": self.name, "field": name},
        )


async def _run(run: RunTool, arguments: dict[str, Any], context: ToolContext) -> JSON:
    """Call and await: of a tool that users made, both may raise anything."""
    return await run(arguments, context)


def _locate_error(error: ValidationError) -> tuple[str, str]:
    """Return the field that an error is about, dotted, and what is wrong with it."""
    path = [str(part) for part in error.absolute_path]
    value: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "required":
        missing = next(name for name in rule if name not in value)
        return ".".join([*path, missing]), "is required."
    if error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
        known = list(error.schema.get("properties", {}))
        extra = next((name for name in value if name not in known), "")
        return ".".join([*path, extra]), f"there is no such argument. {nearest(extra, known)}"
    text = error.message if len(error.message) <= 300 else f"{error.message[:300]}…"
    return ".".join(path), text
