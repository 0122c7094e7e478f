"""The contract of a node type: what its module gives, and what it gets.

A node type is made of three things, in one module of `graphs.nodes`:

1. a **spec**: a subclass of `NodeSpec` with a literal `type`. It is the fields of the YAML file;
   pydantic checks them, and editors complete them.
2. a **build** function, `build(spec, scope) -> CompiledNode`, called once when a graph compiles. It
   compiles the spec's templates with `scope`, reports what is wrong with `scope.problem`, and
   returns the inputs and the work. It does no I/O.
3. a **work** function, `async run(inputs, context) -> parts`, called for each step of a run.
   `inputs` are the rendered templates by name, `context` a `NodeContext`. It returns the parts of
   its result by name, which `save` writes to channels. It raises errors of `config.errors`, and may
   be cancelled at any await.

A `NodeType` puts them together, and becomes an entry of `NODE_TYPES` in `graphs/nodes/__init__.py`.
Retries, time limits, caching, `when`, `save` and `on_error` are the same for all types:
`node_runner` does them around the work.

This module owns the contract alone. It knows no node type, and of agents only `CalledAgent`.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from jinja2 import TemplateSyntaxError
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.graph.state import CompiledStateGraph

from config.errors import Invalid, nearest
from graphs.exposure import Exposure, exposure_after
from graphs.run_context import RunContext
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec
from graphs.spec.problems import Path, Problems
from graphs.templates.expressions import Expressions, Template, View
from graphs.templates.rendering import Rendering, evaluate
from models.catalog.spec import Task
from tools.address_policy import AddressPolicy
from tools.json_schema.schema import run_checks

Renderer = Callable[[View, Rendering], Any]
"""A compiled field: gives its value for the state's values. Raises `Invalid`
(`expression_failed`)."""
NEXT_PART = "goto"
"""The part by which a node names the node to go on with; for types with `own_targets`."""


@dataclass(frozen=True)
class NodeContext:
    """One execution of a node: which step it is, what it may use, and where its events go.

    `step` is LangGraph's id of the task. A step that runs again after a crash has the id it had
    before; `attempt` counts its retries from 1.
    """

    node: str
    step: str
    attempt: int
    run: RunContext
    config: RunnableConfig
    view: View
    """The state's values as the step began; channels without a value have their empty one."""
    rendering: Rendering
    exposure: Exposure
    """What the run has read before this step, and what the step adds to it."""
    write: Callable[[Any], None]
    """LangGraph's stream writer. What it is given becomes an event of the run in
    `runs.steps.StreamTranslator`."""
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    """Stands around texts of others; nobody who wrote them can know it."""

    @property
    def addresses(self) -> AddressPolicy:
        """Which addresses may be fetched, by what the run has read until now."""
        return self.exposure.policy(self.run.web_hosts)

    def emit(self, kind: str, **data: Any) -> None:
        """Send an event of this step to the run's readers; never blocks."""
        self.write({"motet": kind, "node": self.node, "step": self.step, **data})

    def forward(self, event: Mapping[str, Any]) -> None:
        """Send an event of a tool or a model as this step's; never blocks."""
        self.write({"motet": "progress", **event, "node": self.node, "step": self.step})


@dataclass(frozen=True)
class CompiledNode:
    """A node ready to run: its inputs, rendered anew for each step, and its work."""

    inputs: Mapping[str, Renderer]
    run: Callable[[dict[str, Any], NodeContext], Awaitable[dict[str, Any]]]
    """Takes the rendered inputs; gives the result's parts by name."""
    retries_itself: bool = False
    """The work is made of durable calls that are retried one by one, so the whole is not."""


class CalledAgent(Protocol):
    """What a node needs of an agent that it runs as one step."""

    @property
    def input_schema(self) -> dict[str, Any]: ...

    @property
    def output_schema(self) -> dict[str, Any]: ...

    @property
    def recursion_limit(self) -> int: ...

    def compile(self) -> CompiledStateGraph[Any, Any, Any, Any]: ...

    def initial_state(
        self, input: Any, exposure: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the first writes for an input. Raises `Invalid` (`invalid_input`)."""
        ...

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the output as JSON, out of the state's values."""
        ...

    def too_many_steps(self) -> Invalid:
        """Return the error of a run that took more steps than `recursion_limit`."""
        ...


class CalledEnd(NamedTuple):
    """The output of a called agent, and what its run has read (`graphs.exposure`)."""

    output: dict[str, Any]
    exposure: dict[str, Any]


async def run_called(
    agent: CalledAgent,
    compiled: CompiledStateGraph[Any, Any, Any, Any],
    input: Mapping[str, Any],
    exposure: Mapping[str, Any],
) -> CalledEnd:
    """Run an agent as a part of the step that runs now; `exposure` is what the caller has read.

    LangGraph finds the outer run in context variables: the inner graph has its checkpoints, its
    context and its stream, and after a crash goes on where it was. Raises `Invalid`
    (`too_many_steps`).
    """
    limit: RunnableConfig = {"recursion_limit": agent.recursion_limit}
    try:
        first_writes = await run_checks(lambda: agent.initial_state(input, exposure))
        values = await compiled.ainvoke(first_writes, limit)
    except GraphRecursionError as error:
        raise agent.too_many_steps() from error
    output = await evaluate(lambda _: agent.output(values))
    return CalledEnd(output, exposure_after(values))


class Linker(Protocol):
    """What a compiling graph needs from outside."""

    @property
    def node_types(self) -> Mapping[str, NodeType]: ...

    @property
    def expressions(self) -> Expressions: ...

    def agent(self, name: str) -> CalledAgent:
        """Return another agent, compiled.

        Raises `NotFound` (`agent_not_found`), or `Invalid`: one that calls itself
        (`agent_recursion`), or whose file is wrong (`invalid_agent`).
        """
        ...


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
        """Return the same scope with more names."""
        return replace(self, names=self.names | set(names))

    def problem(self, at: str | Path, message: str, hint: str = "") -> None:
        """Report what is wrong with a field. Compiling goes on, so that all problems are listed."""
        self.problems.add(self._path(at), message, hint)

    def template(self, at: str | Path, source: str) -> Renderer:
        """Compile a field's template; a wrong one is a problem of the file."""
        return self._compile(at, source, self.linker.expressions.template)

    def condition(self, at: str | Path, source: str | bool) -> Renderer:
        """Compile a field's condition, an expression with or without braces."""
        if isinstance(source, bool):
            return lambda view, rendering: source
        return self._compile(at, source, self.linker.expressions.condition)

    def values(self, at: str | Path, value: Any) -> Renderer:
        """Compile the templates within lists and objects; other values stand for themselves."""
        path = at if isinstance(at, tuple) else (at,)
        if isinstance(value, str):
            return self.template(path, value)
        if isinstance(value, dict):
            parts = {key: self.values((*path, key), item) for key, item in value.items()}
            return lambda view, rendering: {
                key: part(view, rendering) for key, part in parts.items()
            }
        if isinstance(value, list):
            items = [self.values((*path, i), item) for i, item in enumerate(value)]
            return lambda view, rendering: [item(view, rendering) for item in items]
        return lambda view, rendering: value

    def optional(self, **fields: Any) -> dict[str, Renderer]:
        """Compile the templates of those fields that are given."""
        return {key: self.values(key, value) for key, value in fields.items() if value is not None}

    def check_parts(self, save: Any, known: Iterable[str]) -> None:
        """Report each part that a node's `save` names and its result has not."""
        for channel, part in (save if isinstance(save, Mapping) else {}).items():
            if part not in known:
                hint = nearest(part, sorted(known))
                self.problem(("save", channel), f"there is no part '{part}' in the result.", hint)

    def _compile(
        self, at: str | Path, source: str, compile_: Callable[[str], Template]
    ) -> Renderer:
        try:
            template = compile_(source)
        except TemplateSyntaxError as error:
            message = f"wrong expression: {error.message}"
            hint = self.linker.expressions.hint(str(error.message))
            self.problems.add(self._path(at), message, hint, line_offset=error.lineno - 1)
        except (ValueError, RecursionError) as error:
            self.problem(at, f"wrong expression: {error}")
        else:
            self._check_names(at, template)
            return template.value
        # The problem keeps the graph from running; until then something must stand in.
        return lambda view, rendering: None

    def _check_names(self, at: str | Path, template: Template) -> None:
        self.used.update(template.names)
        for name in sorted(template.names - self.names):
            self.problem(at, f"there is no channel '{name}'.", nearest(name, sorted(self.names)))

    def _path(self, at: str | Path) -> Path:
        return (*self.path, *(at if isinstance(at, tuple) else (at,)))


@dataclass(frozen=True)
class NodeType:
    """One entry of `NODE_TYPES`."""

    spec: type[NodeSpec]
    build: Callable[[Any, CompileScope], CompiledNode]
    parts: Mapping[str, Type] | None = None
    """The parts of a result with their types. None where they differ from node to node: `build`
    then checks what `save` names, with `scope.check_parts`."""
    main_part: str | Callable[[Any], str] = ""
    """The part that `save: channel` means, or a function of the spec that names it."""
    own_channels: Callable[[Any], Iterable[str]] | None = None
    """For a type without `save`: the channels that its parts are named after."""
    replaced_channels: Callable[[Any], Iterable[str]] | None = None
    """Those among them whose values are replaced, whatever their reducers say."""
    model_task: Task | None = None
    """For a type with a field `model`: the work that this model is to do."""
    tool: str = ""
    """The tool whose arguments the type's own fields are."""

    def saved_parts(self, spec: NodeSpec) -> dict[str, str]:
        """Return channel: part, for everything that a node writes."""
        if self.own_channels is not None:
            return {channel: channel for channel in self.own_channels(spec)}
        if spec.save is None:
            return {}
        if isinstance(spec.save, str):
            main = self.main_part
            return {spec.save: main if isinstance(main, str) else main(spec)}
        return dict(spec.save)
