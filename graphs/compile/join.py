"""Joins: a node that parallel branches lead to runs once, when the last of them has ended.

LangGraph starts a node as soon as any edge reaches it, or else waits for a fixed set of nodes.
Branches that may end early, take turns or loop fit neither. So each join gets a channel that counts
what is still under way before it. Every node in its region reports where it went (`router`).

Rests on two internals of LangGraph. A compiled graph starts a node when the channel
`branch:to:<node>` becomes available, and consumes that channel as the node starts; this module puts
a channel of its own under that name. If LangGraph renames it, joins never start and the tests of
flows with joins fail. The counts are part of the checkpoint: a run that goes on after a crash waits
for the same branches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

from langgraph.channels.base import BaseChannel
from langgraph.errors import EmptyChannelError
from langgraph.graph import START
from langgraph.graph.state import CompiledStateGraph


class Join(BaseChannel[None, Any, Any]):
    """Available when the node was reached and nothing that could still reach it is under way.

    It takes moves `[from, [to, ...]]`; a write of None means that the node was reached (LangGraph
    itself writes so, when a state is edited at this node).
    """

    __slots__ = ("active", "joins", "node", "reached", "region")

    def __init__(self, node: str, region: frozenset[str], joins: frozenset[str]) -> None:
        super().__init__(Any, trigger_channel(node))
        self.node, self.region, self.joins = node, region, joins
        self.active: Counter[str] = Counter()
        """Executions of nodes in the region that have begun and not reported yet."""
        self.reached = False

    @property
    def ValueType(self) -> Any:
        return Any

    @property
    def UpdateType(self) -> Any:
        return Any

    def checkpoint(self) -> Any:
        return {"active": dict(self.active), "reached": self.reached}

    def from_checkpoint(self, checkpoint: Any) -> Self:
        channel = self.__class__(self.node, self.region, self.joins)
        if isinstance(checkpoint, Mapping):
            channel.active = Counter(checkpoint["active"])
            channel.reached = checkpoint["reached"]
        return channel

    def get(self) -> None:
        if not self.is_available():
            raise EmptyChannelError()

    def is_available(self) -> bool:
        return self.reached and not self.active

    def update(self, values: Sequence[Any]) -> bool:
        moves = [value for value in values if value is not None]
        # All of a superstep's moves come together. First every node leaves, then the next ones
        # arrive: the other way round, a join that leads back to itself would be counted out.
        for source, _ in moves:
            self._leave(source)
        for _, targets in moves:
            self._arrive(targets)
        self.reached = self.reached or len(moves) < len(values)
        return bool(values)

    def consume(self) -> bool:
        was_reached, self.reached = self.reached, False
        return was_reached

    def _leave(self, source: str) -> None:
        if source == START:
            # A run begins; what an earlier one on this thread left undone is forgotten.
            self.active.clear()
            self.reached = False
        elif self.active[source] > 1:
            self.active[source] -= 1
        else:
            del self.active[source]

    def _arrive(self, targets: Sequence[str]) -> None:
        for target in targets:
            if target == self.node:
                self.reached = True
            elif target in self.region:
                # Another join runs once for all that reach it.
                self.active[target] = 1 if target in self.joins else self.active[target] + 1


def trigger_channel(node: str) -> str:
    """Return the name of the channel by which LangGraph starts a node."""
    return f"branch:to:{node}"


def attach_joins(
    graph: CompiledStateGraph[Any, Any, Any, Any], joins: Mapping[str, frozenset[str]]
) -> None:
    """Let these nodes of a compiled graph wait for all that can still lead to them."""
    for node, region in joins.items():
        graph.channels[trigger_channel(node)] = Join(node, region, frozenset(joins))
