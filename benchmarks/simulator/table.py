"""The table: swaps and waits of each scheduler on each trace, several seeds together.

`python -m benchmarks simulator --plot=docs/scheduling.svg` draws it, too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from benchmarks.measure import show
from benchmarks.simulator.machine import Machine
from benchmarks.simulator.optimum import fewest_swaps
from benchmarks.simulator.policies import POLICIES
from benchmarks.simulator.traces import Trace, all_traces

SEEDS = range(1, 6)
ALLOWED = 1.05
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    """Of one scheduler on one kind of trace; waits in seconds."""

    swaps: int
    median_s: float
    p99_s: float
    killed: int


def replay(traces: Sequence[Trace], policy: str) -> Result:
    """All of them, one after the other; their waits are counted together."""
    machines = [Machine(trace, POLICIES[policy]) for trace in traces]
    waits: list[float] = []
    for machine in machines:
        machine.run()
        trace = machine.trace
        waits += [
            waited_s
            for number, waited_s in machine.waits.items()
            if trace.watched in (None, trace.requests[number].tenant)
        ]
    cuts = quantiles(waits, n=100, method="inclusive")
    swaps, killed = (sum(getattr(m, name) for m in machines) for name in ("swaps", "killed"))
    return Result(swaps, cuts[49], cuts[98], killed)


def shortfalls(trace: Trace, results: Mapping[str, Result]) -> list[str]:
    """Where Motet falls short of what it is meant to reach against the others."""
    ours, found = results["Motet"], []
    for name, other in results.items():
        if trace.thrashes and name != "Motet" and ours.swaps > HALF * other.swaps:
            found.append(f"{ours.swaps / other.swaps:.2f} of {name}'s swaps, not half")
        elif ours.swaps > ALLOWED * other.swaps:
            found.append(f"{ours.swaps / other.swaps:.2f} times {name}'s swaps")
        if ours.p99_s > ALLOWED * other.p99_s:
            found.append(f"{ours.p99_s / other.p99_s:.2f} times {name}'s p99")
    return found


def results_by_trace() -> dict[str, tuple[list[Trace], dict[str, Result]]]:
    """Every kind of trace, its traces of all seeds, and what each scheduler made of them."""
    kinds = zip(*(all_traces(seed) for seed in SEEDS), strict=True)
    return {
        traces[0].name: (list(traces), {name: replay(traces, name) for name in POLICIES})
        for traces in kinds
    }


async def main() -> None:
    """Print the table, and where Motet falls short."""
    found = results_by_trace()
    rows, short = [], []
    for name, (traces, results) in found.items():
        optimum = [fewest_swaps(trace) for trace in traces]
        known = [each for each in optimum if each is not None]
        best = sum(known) if len(known) == len(optimum) else "-"
        cells = [
            cell
            for result in results.values()
            for cell in (result.swaps, f"{result.median_s:.1f}", f"{result.p99_s:.1f}")
        ]
        killed = "/".join(str(result.killed) for result in results.values())
        rows.append([name, *cells, best, killed])
        short += [f"  {name}: {each}" for each in shortfalls(traces[0], results)]
    headings = ["swaps, median and p99 wait in s"]
    headings += [each for name in POLICIES for each in (name, "", "")]
    show("Models that do not fit together", [*headings, "in order", "killed"], rows)
    print("Short of half the swaps, or more than 5 % worse:", *short, sep="\n")
    for argument in sys.argv[1:]:
        if argument.startswith("--plot="):
            from benchmarks.simulator.plot import plot

            plot({name: results for name, (_, results) in found.items()}, argument[7:])
