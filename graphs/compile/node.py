"""What a node type is made of: a spec, and a function that makes its body when a graph compiles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateSyntaxError
from langchain_core.runnables import RunnableConfig

from config.errors import nearest
from graphs.compile.state import Type
from graphs.run_context import RunContext
from graphs.spec.parts import NodeSpec
from graphs.spec.problems import Path, Problems
from graphs.templates.expressions import Template, View
from graphs.templates.sandbox import Render

if TYPE_CHECKING:
    from graphs.compile.compiler import Linker

Rendered = Callable[[View, Render], Any]


@dataclass(frozen=True)
class NodeContext:
    """One execution of a node: its place, what it may use, and where it is heard."""

    node: str
    step: str
    attempt: int
    context: RunContext
    config: RunnableConfig
    view: View
    render: Render
    write: Callable[[Any], None]

    def emit(self, kind: str, **data: Any) -> None:
        """Send an observable event; never blocks."""
        self.write({"motet": kind, "node": self.node, "step": self.step, **data})

    def forward(self, event: Mapping[str, Any]) -> None:
        """Send an event that a tool or a model told, as this step's."""
        self.write({"motet": "progress", **event, "node": self.node, "step": self.step})


@dataclass(frozen=True)
class CompiledNode:
    """A compiled node: inputs rendered from the state, and the work, which gives named parts."""

    inputs: Mapping[str, Rendered]
    run: Callable[[dict[str, Any], NodeContext], Awaitable[dict[str, Any]]]
    retries: bool = False
    """It tries its parts again by itself, so the whole is not."""


@dataclass(frozen=True)
class CompileScope:
    """Where a node is compiled: the names its templates may use, and where problems go."""

    agent: str
    node: str
    path: Path
    names: frozenset[str]
    problems: Problems
    linker: Linker
    used: set[str] = field(default_factory=set)
    """Gathers the names that templates do use."""

    def adding(self, *names: str) -> CompileScope:
        """The same place with more names."""
        return replace(self, names=self.names | set(names))

    def problem(self, at: str | Path, message: str, hint: str = "") -> None:
        self.problems.add(self._at(at), message, hint)

    def template(self, at: str | Path, source: str) -> Rendered:
        """The compiled template of a field; a wrong one is a problem of the file."""
        return self._compiled(at, source, self.linker.expressions.template)

    def condition(self, at: str | Path, source: str | bool) -> Rendered:
        if isinstance(source, bool):
            return lambda view, render: source
        return self._compiled(at, source, self.linker.expressions.condition)

    def values(self, at: str | Path, value: Any) -> Rendered:
        """Templates within lists and objects; anything but text stands for itself."""
        path = at if isinstance(at, tuple) else (at,)
        if isinstance(value, str):
            return self.template(path, value)
        if isinstance(value, dict):
            parts = {key: self.values((*path, key), item) for key, item in value.items()}
            return lambda view, render: {key: part(view, render) for key, part in parts.items()}
        if isinstance(value, list):
            items = [self.values((*path, i), item) for i, item in enumerate(value)]
            return lambda view, render: [item(view, render) for item in items]
        return lambda view, render: value

    def optional(self, **fields: Any) -> dict[str, Rendered]:
        """The templates of those fields that are given."""
        return {key: self.values(key, value) for key, value in fields.items() if value is not None}

    def check_parts(self, save: Any, known: Iterable[str]) -> None:
        """A problem for each part that a node's `save` names and its result has not."""
        for channel, part in (save if isinstance(save, Mapping) else {}).items():
            if part not in known:
                hint = nearest(part, sorted(known))
                self.problem(("save", channel), f"there is no part '{part}' in the result.", hint)

    def _compiled(
        self, at: str | Path, source: str, compile_: Callable[[str], Template]
    ) -> Rendered:
        try:
            template = compile_(source)
        except TemplateSyntaxError as error:
            self.problems.add(
                self._at(at), f"wrong expression: {error.message}", line_offset=error.lineno - 1
            )
        except (ValueError, RecursionError) as error:
            self.problem(at, f"wrong expression: {error}")
        else:
            self._check_names(at, template)
            return template.value
        return lambda view, render: None

    def _check_names(self, at: str | Path, template: Template) -> None:
        self.used.update(template.names)
        for name in sorted(template.names - self.names):
            self.problem(at, f"there is no channel '{name}'.", nearest(name, sorted(self.names)))

    def _at(self, at: str | Path) -> Path:
        return (*self.path, *(at if isinstance(at, tuple) else (at,)))


@dataclass(frozen=True)
class NodeType:
    """One entry of the map of node types. `default` names the part that `save: channel` means.

    `parts` of None differ from node to node: `build` checks what `save` names.
    """

    spec: type[NodeSpec]
    build: Callable[[Any, CompileScope], CompiledNode]
    parts: Mapping[str, Type] | None
    default: Callable[[Any], str]
    channels: Callable[[Any], Iterable[str]] | None = None
    """The channels that a node names as its parts, in place of `save`."""


def saves(kind: NodeType, spec: NodeSpec) -> dict[str, str]:
    """Channel: part, for everything that a node writes."""
    if kind.channels is not None:
        return {channel: channel for channel in kind.channels(spec)}
    if spec.save is None:
        return {}
    return {spec.save: kind.default(spec)} if isinstance(spec.save, str) else dict(spec.save)
