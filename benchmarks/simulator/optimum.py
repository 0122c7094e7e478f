"""The fewest swaps for requests served in the order they came, knowing them all (Belady, exact)."""

from __future__ import annotations

from itertools import combinations

from benchmarks.simulator.traces import Trace

MAX_MODELS = 10
Loaded = frozenset[str]


def fewest_swaps(trace: Trace) -> int | None:
    """By dynamic programming over what may be loaded together; None where that is too much.

    Nothing is unloaded by time here, and others take no memory.
    """
    chained = any(request.after is not None for request in trace.requests)
    if len(trace.models) > MAX_MODELS or trace.foreign or chained:
        return None
    fitting = [
        frozenset(names)
        for count in range(1, len(trace.models) + 1)
        for names in combinations(trace.models, count)
        if sum(trace.models[name].size for name in names) <= trace.capacity
    ]
    best: dict[Loaded, int] = {frozenset(): 0}
    for request in trace.requests:
        best = _serve(best, request.model, fitting)
    return min(best.values()) - len({request.model for request in trace.requests})


def _serve(best: dict[Loaded, int], name: str, fitting: list[Loaded]) -> dict[Loaded, int]:
    """The least loads for each set that may be loaded after serving `name`."""
    after: dict[Loaded, int] = {}
    for loaded, loads in best.items():
        if name in loaded:
            after[loaded] = min(after.get(loaded, loads), loads)
            continue
        for kept in fitting:
            # Unloading more than one must is never better: only the largest sets are tried.
            if name in kept and kept - {name} <= loaded and _full(kept, loaded, name, fitting):
                after[kept] = min(after.get(kept, loads + 1), loads + 1)
    return after


def _full(kept: Loaded, loaded: Loaded, name: str, fitting: list[Loaded]) -> bool:
    return not any(kept | {other} in fitting for other in loaded - kept)
