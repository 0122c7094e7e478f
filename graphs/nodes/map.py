"""`map`: the same steps for each item of a list, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, JsonValue

from config.errors import Invalid, MotetError
from graphs.compile.compiler import build_graph
from graphs.compile.durable import durable_call, gather_all, will_retry
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType, Rendered
from graphs.compile.state import Type
from graphs.nodes.subgraph import linked
from graphs.spec.parts import MAX_NODES, Channel, ChannelName, Name, Next, NodeSpec
from graphs.templates.sandbox import Render

if TYPE_CHECKING:
    from graphs.nodes import Node

PARTS: dict[str, Type] = {"results": "list", "errors": "list", "count": "integer"}
MAX_ITEMS = 10_000

Inner = Annotated[dict[Name, "Node"], Field(min_length=1, max_length=MAX_NODES)]
"""The steps of one item."""


class MapSpec(NodeSpec):
    """Runs `nodes`, or another `agent`, for each item. `save: channel` saves the list of results.

    The item is `item` (or what `as` names) and its place from 0 `item_index`. An item that has
    finished is not run again after a crash.
    """

    type: Literal["map"]
    over: str | list[JsonValue] = Field(description="The list; a template that gives one.")
    as_: ChannelName = Field("item", alias="as")
    nodes: Inner | None = None
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
class Item:
    """How one item is run: from its values to its result."""

    inputs: Mapping[str, Rendered]
    run: Callable[[dict[str, Any], NodeContext], Awaitable[Any]]


def build(spec: MapSpec, scope: CompileScope) -> CompiledNode:
    item = _item(spec, scope)

    async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        items = _listed(inputs["over"])
        tasks = Tasks(spec, call, item, len(items))
        outcomes = await tasks.run(items)
        errors = [outcome["error"] for outcome in outcomes if "error" in outcome]
        kept = [
            outcome.get("result")
            for outcome in outcomes
            if "error" not in outcome or spec.on_item_error == "collect"
        ]
        return {"results": kept, "errors": errors, "count": len(kept)}

    return CompiledNode({"over": scope.values("over", spec.over)}, run, retries=True)


class Tasks:
    """The items of one execution. Each is a task of LangGraph's, which keeps its outcome."""

    def __init__(self, spec: MapSpec, call: NodeContext, item: Item, total: int) -> None:
        self._spec = spec
        self._call = call
        self._item = item
        self._total = total
        self._done = 0
        self._gate = asyncio.Semaphore(spec.concurrency)

    async def run(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """An outcome for each item, in their order."""
        # The gate lets them in by their place, so that after a crash each finds its own outcome.
        return await gather_all(
            [
                asyncio.create_task(self._one(index, item), name=f"{self._call.node} {index}")
                for index, item in enumerate(items)
            ]
        )

    async def _one(self, index: int, item: Any) -> dict[str, Any]:
        async def work(call: NodeContext) -> dict[str, Any]:
            return await self._outcome(index, item, call)

        async with self._gate:
            outcome: dict[str, Any] = await durable_call(work, "item", self._call, self._spec)
        self._done += 1
        self._call.emit("progress", done=self._done, total=self._total)
        return outcome

    async def _outcome(self, index: int, item: Any, call: NodeContext) -> dict[str, Any]:
        view = {**call.view, self._spec.as_: item, "item_index": index}
        try:
            values = {key: part(view, Render()) for key, part in self._item.inputs.items()}
            return {"result": await self._item.run(values, call)}
        except MotetError as error:
            if self._spec.on_item_error == "fail" or will_retry(error, call, self._spec):
                error.details.setdefault("item", index)
                raise
            told = {"index": index, "code": error.code, "message": error.message}
            call.emit("warning", **told, handled=self._spec.on_item_error)
            return {"error": told}


def _item(spec: MapSpec, scope: CompileScope) -> Item:
    if (spec.nodes is None) == (spec.agent is None):
        scope.problem("nodes", "give `nodes` to run for each item, or another `agent`.")
    if spec.nodes is None:
        return _by_agent(spec, scope)
    if spec.input is not None:
        scope.problem("input", "belongs to `agent`.")
    return _by_nodes(spec, scope)


def _by_agent(spec: MapSpec, scope: CompileScope) -> Item:
    given = spec.input or {}
    inner = scope.adding(spec.as_, "item_index")
    inputs = {name: inner.values(("input", name), value) for name, value in given.items()}
    agent = linked(spec.agent, given, scope) if spec.agent else None
    if agent is None:
        return Item(inputs, _nothing)
    outputs = frozenset(agent.output_schema.get("properties", {}))
    result = _result(spec, replace(scope, names=outputs))
    compiled = agent.compile()
    limit: Any = {"recursion_limit": agent.recursion_limit}

    async def run(values: dict[str, Any], call: NodeContext) -> Any:
        state = await compiled.ainvoke(agent.initial_state(values), limit)
        output = agent.output(state)
        return output if result is None else result(output, Render())

    return Item(inputs, run)


def _by_nodes(spec: MapSpec, scope: CompileScope) -> Item:
    if spec.result is None:
        scope.problem("result", "is required: what of an item's channels is kept.")
    outer = scope.names | {spec.as_, "item_index"}
    used: set[str] = set()
    inner = replace(scope, names=outer, used=used)
    graph = build_graph(spec.nodes or {}, spec.edges, {}, inner)
    result = _result(spec, inner.adding(*graph.channels))
    scope.used.update(used & scope.names)
    if scope.problems.found:
        return Item({}, _nothing)
    # An item's graph is given what its templates read, and no more of the outer state.
    given = sorted((used & outer) - set(graph.channels))
    declared = {name: Channel(type="any") for name in given}
    graph = build_graph(spec.nodes or {}, spec.edges, declared, inner)
    compiled = graph.compile()
    limit: Any = {"recursion_limit": graph.recursion_limit}

    async def run(values: dict[str, Any], call: NodeContext) -> Any:
        state = await compiled.ainvoke(graph.begin(values), limit)
        return result({**graph.empty, **state}, Render()) if result else None

    return Item({name: _named(name) for name in given}, run)


def _result(spec: MapSpec, scope: CompileScope) -> Rendered | None:
    return None if spec.result is None else scope.values("result", spec.result)


def _named(name: str) -> Rendered:
    return lambda view, render: view[name]


def _listed(value: Any) -> list[Any]:
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


async def _nothing(values: dict[str, Any], call: NodeContext) -> Any:
    return None


MAP = NodeType(MapSpec, build, PARTS, lambda spec: "results")
