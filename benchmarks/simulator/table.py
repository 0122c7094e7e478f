"""The table: swaps and waits of each scheduler on each trace."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import quantiles

from benchmarks.simulator.machine import Machine
from benchmarks.simulator.optimum import fewest_swaps
from benchmarks.simulator.policies import POLICIES
from benchmarks.simulator.traces import Trace, all_traces

ALLOWED = 1.05
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    """Of one scheduler on one trace; waits in seconds."""

    swaps: int
    median_s: float
    p99_s: float
    killed: int


def replay(trace: Trace, policy: str) -> Result:
    machine = Machine(trace, POLICIES[policy])
    machine.run()
    numbers = range(len(trace.requests))
    watched = [n for n in numbers if trace.watched in (None, trace.requests[n].tenant)]
    cuts = quantiles([machine.waits[n] for n in watched], n=100, method="inclusive")
    return Result(machine.swaps, cuts[49], cuts[98], machine.killed)


def shortfalls(trace: Trace, results: dict[str, Result]) -> list[str]:
    """Where Motet falls short of what it promises against each of the others."""
    ours, found = results["Motet"], []
    for name, other in results.items():
        if name == "Motet":
            continue
        if trace.thrashes and ours.swaps > HALF * other.swaps:
            found.append(f"more than half the swaps of {name}")
        if ours.swaps > ALLOWED * other.swaps:
            found.append(f"more swaps than {name}")
        if ours.p99_s > ALLOWED * other.p99_s + 0.05:
            found.append(f"a longer p99 than {name}")
    return found


async def main() -> None:
    """Print the table."""
    print(f"{'trace':30}" + "".join(f"{name:>24}" for name in POLICIES) + f"{'in order':>10}")
    print(f"{'':30}" + f"{'swaps  median    p99':>24}" * len(POLICIES))
    for trace in all_traces():
        results = {name: replay(trace, name) for name in POLICIES}
        cells = [f"{r.swaps:6} {r.median_s:7.1f} {r.p99_s:7.1f}" for r in results.values()]
        best = fewest_swaps(trace)
        line = f"{trace.name:30}" + "".join(f"{cell:>24}" for cell in cells)
        print(f"{line}{'-' if best is None else best:>10}")
        for shortfall in shortfalls(trace, results):
            print(f"    {shortfall}")
