"""`map`: the same steps for each item of a list, several at once.

Invariant: the outcome of each item is a durable call, so an item that has finished is not run again
after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from langchain_core.runnables import RunnableConfig
from pydantic import Field, JsonValue

from config.errors import Invalid, MotetError
from graphs.compile.compiler import build_graph
from graphs.compile.durable import durable_call, gather_all
from graphs.compile.node import (
    CompiledNode,
    CompileScope,
    NodeContext,
    NodeType,
    Renderer,
    run_called,
)
from graphs.compile.retry import will_retry
from graphs.exposure import EXPOSURE, exposure_after
from graphs.nodes.subgraph import find_agent
from graphs.spec.base import MAX_NODES, RESERVED, ChannelName, Name
from graphs.spec.branches import Next
from graphs.spec.channel_types import Type
from graphs.spec.channels import Channel
from graphs.spec.node_spec import NodeSpec
from graphs.templates.expressions import View
from graphs.templates.rendering import Rendering, evaluate

if TYPE_CHECKING:
    AnyNode: TypeAlias = NodeSpec

PARTS: dict[str, Type] = {"results": "list", "errors": "list", "count": "integer"}
MAX_ITEMS = 10_000

ItemNodes = Annotated[dict[Name, "AnyNode"], Field(min_length=1, max_length=MAX_NODES)]
"""The steps of one item: nodes of any type, `map` included. The type is recursive, so its name is
resolved in `graphs.nodes`, where all types are known."""


class MapSpec(NodeSpec):
    """Runs `nodes`, or another `agent`, for each item. `save: channel` saves the list of results.

    The item is `item` (or what `as` names) and its place from 0 `item_index`. An item that has
    finished is not run again after a crash.
    """

    names_within = frozenset(("save", "nodes", "edges", "input"))

    type: Literal["map"]
    over: str | list[JsonValue] = Field(description="The list; a template that gives one.")
    as_: ChannelName = Field("item", alias="as")
    nodes: ItemNodes | None = None
    edges: dict[Name, Next] | None = None
    agent: str | None = Field(None, description="Instead of `nodes`: an agent's name.")
    input: dict[ChannelName, JsonValue] | None = Field(None, description="The agent's input.")
    result: JsonValue = Field(None, description="An item's result, out of the channels it wrote.")
    concurrency: int = Field(4, ge=1, le=256, description="Items at once.")
    on_item_error: Literal["fail", "skip", "collect"] = Field(
        "fail",
        description="`skip` leaves the item out, `collect` puts null in its place; both list it "
        "in the part `errors`.",
    )


@dataclass(frozen=True)
class ItemGraph:
    """How one item is run: from its rendered values, and what its run has read, to its outcome."""

    inputs: Mapping[str, Renderer]
    run: Callable[[dict[str, Any], Mapping[str, Any]], Awaitable[dict[str, Any]]]


def build(spec: MapSpec, scope: CompileScope) -> CompiledNode:
    graph = _build_item_graph(spec, scope)

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        items = _check_items(inputs["over"])
        outcomes = await ItemRunner(spec, context, graph, len(items)).run(items)
        errors = [outcome["error"] for outcome in outcomes if "error" in outcome]
        results = [
            outcome.get("result")
            for outcome in outcomes
            if "error" not in outcome or spec.on_item_error == "collect"
        ]
        return {"results": results, "errors": errors, "count": len(results)}

    return CompiledNode({"over": scope.values("over", spec.over)}, run, retries_itself=True)


class ItemRunner:
    """Runs the items of one step, at most `concurrency` at once."""

    def __init__(self, spec: MapSpec, context: NodeContext, graph: ItemGraph, total: int) -> None:
        self._spec = spec
        self._context = context
        self._graph = graph
        self._total = total
        self._done = 0
        self._gate = asyncio.Semaphore(spec.concurrency)

    async def run(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """Return an outcome for each item, in their order; the first failure ends the others."""
        # Durable outcomes are found by the order in which calls begin. The semaphore is fair: it
        # lets items in by their place, so after a crash each finds its own outcome.
        return await gather_all(
            [
                asyncio.create_task(
                    self._run_item(index, item), name=f"{self._context.node} {index}"
                )
                for index, item in enumerate(items)
            ]
        )

    async def _run_item(self, index: int, item: Any) -> dict[str, Any]:
        async def run(context: NodeContext) -> dict[str, Any]:
            return await self._outcome(index, item, context)

        async with self._gate:
            outcome: dict[str, Any] = await durable_call(run, "item", self._context, self._spec)
        # Also of an outcome that was stored before a crash.
        self._context.exposure.add(outcome.get(EXPOSURE))
        self._done += 1
        self._context.emit("progress", done=self._done, total=self._total)
        return outcome

    async def _outcome(self, index: int, item: Any, context: NodeContext) -> dict[str, Any]:
        """Run one item to its `result`, or to its `error` where the others are to go on."""
        view = {**context.view, self._spec.as_: item, "item_index": index}
        try:
            values = await evaluate(lambda rendering: self._values(view, rendering))
            return await self._graph.run(values, context.exposure.state())
        except MotetError as error:
            if self._spec.on_item_error == "fail" or will_retry(error, context, self._spec):
                error.details.setdefault("item", index)
                raise
            report = {"index": index, "code": error.code, "message": error.public_message}
            context.emit("warning", **report, handled=self._spec.on_item_error)
            return {"error": report, EXPOSURE: {"private": True}}

    def _values(self, view: View, rendering: Rendering) -> dict[str, Any]:
        return {key: part(view, rendering) for key, part in self._graph.inputs.items()}


def _build_item_graph(spec: MapSpec, scope: CompileScope) -> ItemGraph:
    if (spec.nodes is None) == (spec.agent is None):
        scope.problem("nodes", "give `nodes` to run for each item, or another `agent`.")
    if spec.nodes is None:
        return _build_by_agent(spec, scope)
    if spec.input is not None:
        scope.problem("input", "belongs to `agent`.")
    if spec.as_ in RESERVED:
        message = f"'{spec.as_}' is a word of templates, and names nothing else."
        scope.problem("as", message, f"Call it '{spec.as_}_', say.")
    return _build_by_nodes(spec, scope)


def _build_by_agent(spec: MapSpec, scope: CompileScope) -> ItemGraph:
    input = spec.input or {}
    inner = scope.adding(spec.as_, "item_index")
    inputs = {name: inner.values(("input", name), value) for name, value in input.items()}
    agent = find_agent(spec.agent, input, scope) if spec.agent else None
    if agent is None:
        return ItemGraph(inputs, _do_nothing)
    outputs = frozenset(agent.output_schema.get("properties", {}))
    result = _compile_result(spec, replace(scope, names=outputs))
    compiled = agent.compile()

    async def run(values: dict[str, Any], exposure: Mapping[str, Any]) -> dict[str, Any]:
        called = await run_called(agent, compiled, values, exposure)
        output = called.output
        value = output if result is None else await evaluate(partial(result, output))
        return {"result": value, EXPOSURE: called.exposure}

    return ItemGraph(inputs, run)


def _build_by_nodes(spec: MapSpec, scope: CompileScope) -> ItemGraph:
    if spec.result is None:
        scope.problem("result", "is required: what of an item's channels is kept.")
    outer = scope.names | {spec.as_, "item_index"}
    used: set[str] = set()
    inner = replace(scope, names=outer, used=used)
    # Built twice: the first time tells which names of the outer state its templates use, and
    # reports problems; the second time those names are its input.
    graph = build_graph(spec.nodes or {}, spec.edges, {}, inner)
    result = _compile_result(spec, inner.adding(*graph.channels))
    scope.used.update(used & scope.names)
    if scope.problems.entries:
        return ItemGraph({}, _do_nothing)
    # Checkpoints hold an item's state: no more of the outer one than is read belongs there.
    input_names = sorted((used & outer) - set(graph.channels))
    declared = {name: Channel(type="any") for name in input_names}
    graph = build_graph(spec.nodes or {}, spec.edges, declared, inner)
    compiled = graph.compile()
    limit: RunnableConfig = {"recursion_limit": graph.recursion_limit}

    async def run(values: dict[str, Any], exposure: Mapping[str, Any]) -> dict[str, Any]:
        state = await compiled.ainvoke(graph.initial_state(values, exposure), limit)
        view = {**graph.empty, **state}
        value = await evaluate(partial(result, view)) if result else None
        return {"result": value, EXPOSURE: exposure_after(state)}

    return ItemGraph({name: _read_channel(name) for name in input_names}, run)


def _compile_result(spec: MapSpec, scope: CompileScope) -> Renderer | None:
    return None if spec.result is None else scope.values("result", spec.result)


def _read_channel(name: str) -> Renderer:
    return lambda view, rendering: view[name]


def _check_items(value: Any) -> list[Any]:
    """Return the list to map over; null is empty. Raises `Invalid`."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise Invalid(
            f"`over` must give a list, not {type(value).__name__}.", details={"field": "over"}
        )
    if len(value) > MAX_ITEMS:
        raise Invalid(
            f"`over` has {len(value)} items; at most {MAX_ITEMS} are mapped.",
            details={"field": "over"},
        )
    return list(value)


async def _do_nothing(values: dict[str, Any], exposure: Mapping[str, Any]) -> dict[str, Any]:
    """Stand in for a graph that is a problem of the file: it never runs."""
    return {}


MAP = NodeType(MapSpec, build, PARTS, "results")
