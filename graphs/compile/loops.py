"""Loops within loops: which counts begin anew when an outer loop comes round.

Owns what is within a loop: the nodes on the ways from where its edge leads back to where that edge
begins, by edges that need no bound. Invariant: a loop that is within another has fewer nodes, so
each run through the outer one is bounded, and so is the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from graphs.spec.base import END

Successors = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Loop:
    """A bounded way back: its key, its bound, and the nodes within as the bits of an integer."""

    key: str
    bound: int
    body: int

    def contains(self, other: Loop) -> bool:
        return self.body != other.body and self.body & other.body == other.body


def read_loops(
    edges: Iterable[tuple[str, tuple[str, ...], int, str]], forward: Successors
) -> list[Loop]:
    """Read the loops of edges (source, targets, bound, key); `forward` has the edges without."""
    bits = {name: 1 << number for number, name in enumerate(forward)}
    below, above = dict(bits), dict(bits)
    # What can follow a node stands before it in this order.
    order = list(TopologicalSorter(forward).static_order())
    for node in order:
        for target in forward[node]:
            below[node] |= below[target]
    for node in reversed(order):
        for target in forward[node]:
            above[target] |= above[node]
    loops = []
    for source, targets, bound, key in edges:
        body = bits[source]
        for target in targets:
            if target != END:
                body |= bits[target] | (below[target] & above[source])
        loops.append(Loop(key, bound, body))
    return loops


def find_inner_loops(loops: Iterable[Loop]) -> dict[str, tuple[str, ...]]:
    """Return for each loop the keys of those that are within it."""
    every = list(loops)
    return {
        outer.key: tuple(inner.key for inner in every if outer.contains(inner)) for outer in every
    }


def count_rounds(loops: Iterable[Loop]) -> int:
    """Return how often the loops of a run may be taken in all."""
    outermost_first = sorted(loops, key=lambda loop: loop.body.bit_count(), reverse=True)
    rounds: list[tuple[Loop, int]] = []
    for loop in outermost_first:
        entered = 1 + sum(times for outer, times in rounds if outer.contains(loop))
        rounds.append((loop, loop.bound * entered))
    return sum(times for _, times in rounds)
