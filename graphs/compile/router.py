"""What follows a node, decided on the state that it left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END as LANGGRAPH_END
from langgraph.graph import START as LANGGRAPH_START
from langgraph.graph import StateGraph
from langgraph.pregel._write import ChannelWrite, ChannelWriteEntry

from config.errors import MotetError
from graphs.compile.flow import Flow, choose
from graphs.compile.join import channel_of
from graphs.compile.state import GOTO, LOOPS
from graphs.spec.parts import END, START

NAMES = {END: LANGGRAPH_END, START: LANGGRAPH_START}


def connect(builder: StateGraph[Any, Any, Any, Any], flow: Flow, empty: Mapping[str, Any]) -> None:
    """Give a builder the edges of a flow."""
    for node, exits in flow.exits.items():
        plain = len(exits) == 1 and exits[0].max_loops is None and node not in flow.gotos
        if plain and not flow.joins:
            for target in exits[0].targets:
                builder.add_edge(_name(node), _name(target))
        else:
            builder.add_conditional_edges(
                _name(node), _router(node, flow, empty), _ends(node, flow)
            )


def _ends(node: str, flow: Flow) -> dict[Any, str]:
    targets = [target for source, target, _ in flow.edges() if source == node]
    return {_name(target): _name(target) for target in targets if target not in flow.joins} | {
        LANGGRAPH_END: LANGGRAPH_END
    }


def _router(node: str, flow: Flow, empty: Mapping[str, Any]) -> Callable[..., Any]:
    exits = flow.exits[node]
    own_word = node in flow.gotos
    watching = [join for join, region in flow.joins.items() if node in region or node == START]

    async def follow(state: dict[str, Any], config: RunnableConfig) -> list[str]:
        view = {**empty, **state}
        targets: tuple[str, ...] = ()
        writes = []
        if own_word and (goto := state.get(GOTO, {}).get(node)):
            targets = (goto,)
        elif (exit_ := _choose(node, exits, view, state)) is not None:
            targets = exit_.targets
            if exit_.max_loops is not None:
                writes.append(ChannelWriteEntry(LOOPS, {exit_.key: 1}))
        told = {*watching, *(target for target in targets if target in flow.joins)}
        move = [_name(node), list(targets)]
        writes += [ChannelWriteEntry(channel_of(join), move) for join in told]
        if writes:
            ChannelWrite.do_write(config, writes)
        return [_name(target) for target in targets if target not in flow.joins] or [LANGGRAPH_END]

    return follow


def _choose(node: str, exits: Any, view: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    try:
        return choose(exits, view, state.get(LOOPS, {}))
    except MotetError as error:
        error.details.setdefault("node", node)
        error.details.setdefault("field", "when")
        raise


def _name(node: str) -> str:
    return NAMES.get(node, node)
