"""What follows a node, decided on the state that it left behind.

Owns LangGraph's edges. Which exits a node has is `flow`'s; who waits for parallel branches is
`join`'s, which learns of every move through the writes made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END as LANGGRAPH_END
from langgraph.graph import START as LANGGRAPH_START
from langgraph.graph import StateGraph
from langgraph.pregel._write import ChannelWrite, ChannelWriteEntry

from config.errors import MotetError
from graphs.compile.flow import Exit, Flow, choose_exit
from graphs.compile.join import trigger_channel
from graphs.compile.loops import find_inner_loops
from graphs.compile.state import GOTO, LOOPS
from graphs.spec.base import END, START
from graphs.templates.rendering import evaluate

LANGGRAPH_NAMES = {END: LANGGRAPH_END, START: LANGGRAPH_START}


def connect(builder: StateGraph[Any, Any, Any, Any], flow: Flow, empty: Mapping[str, Any]) -> None:
    """Give a builder the edges of a flow.

    A node with one unbounded exit gets plain edges, which cost nothing at run time. Where any node
    of the graph is a join, every node must report its moves, so all of them get a router.
    """
    targets: dict[str, list[str]] = {node: [] for node in flow.exits}
    for source, target, _ in flow.edges():
        targets[source].append(target)
    inner = find_inner_loops(flow.loops)
    for node, exits in flow.exits.items():
        plain = len(exits) == 1 and exits[0].max_loops is None and node not in flow.gotos
        if plain and not flow.joins:
            for target in exits[0].targets:
                builder.add_edge(_langgraph_name(node), _langgraph_name(target))
        else:
            ends = _possible_ends(targets[node], flow)
            builder.add_conditional_edges(
                _langgraph_name(node), _make_router(node, flow, inner, empty), ends
            )


def _possible_ends(targets: Sequence[str], flow: Flow) -> dict[Any, str]:
    """Return the targets that LangGraph starts itself. Joins are started by their channel."""
    names = [_langgraph_name(target) for target in targets if target not in flow.joins]
    return {name: name for name in (*names, LANGGRAPH_END)}


def _make_router(
    node: str, flow: Flow, inner: Mapping[str, tuple[str, ...]], empty: Mapping[str, Any]
) -> Callable[..., Any]:
    exits = flow.exits[node]
    chooses = node in flow.gotos
    watching = [join for join, region in flow.joins.items() if node in region or node == START]

    async def route(state: dict[str, Any], config: RunnableConfig) -> list[str]:
        targets: tuple[str, ...] = ()
        writes = []
        # What the node itself named comes first: a model's choice, or `on_error.goto`.
        if chooses and (goto := state.get(GOTO, {}).get(node)):
            targets = (goto,)
        elif (exit_ := await _choose(node, exits, {**empty, **state}, state)) is not None:
            targets = exit_.targets
            if exit_.max_loops is not None:
                # The loops within this one are counted anew each time that it comes round.
                anew = dict.fromkeys(inner.get(exit_.key, ()))
                writes.append(ChannelWriteEntry(LOOPS, {**anew, exit_.key: 1}))
        # Every join that this node could lead to learns of the move, also of one that leads
        # elsewhere: it counts what is still under way before it.
        joins = {*watching, *(target for target in targets if target in flow.joins)}
        move = [_langgraph_name(node), list(targets)]
        writes += [ChannelWriteEntry(trigger_channel(join), move) for join in joins]
        if writes:
            # LangGraph's internal write (langgraph.pregel._write), because a conditional edge can
            # return targets only. The writes join the node's own in the same superstep, so count
            # and move stand in one checkpoint. If the function goes away, the tests of flows with
            # loops and joins fail at once; a node that returns `Command` could stand in for it.
            ChannelWrite.do_write(config, writes)
        return [_langgraph_name(target) for target in targets if target not in flow.joins] or [
            LANGGRAPH_END
        ]

    return route


async def _choose(
    node: str, exits: Sequence[Exit], view: Mapping[str, Any], state: Mapping[str, Any]
) -> Exit | None:
    try:
        return await evaluate(
            lambda rendering: choose_exit(exits, view, state.get(LOOPS, {}), rendering)
        )
    except MotetError as error:
        error.details.setdefault("node", node)
        error.details.setdefault("field", "when")
        raise


def _langgraph_name(node: str) -> str:
    return LANGGRAPH_NAMES.get(node, node)
