"""Percentiles, concurrency, and tables."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Timing:
    """Latencies of single calls and the whole time, in seconds."""

    latencies_s: Sequence[float]
    wall_s: float
    cpu_s: float

    @property
    def count(self) -> int:
        return len(self.latencies_s)

    def quantile_ms(self, quantile: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] * 1e3

    @property
    def per_second(self) -> float:
        return self.count / self.wall_s

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s / self.count * 1e3


async def repeat(
    call: Callable[[], Awaitable[None]], count: int, concurrency: int, cpu_s: Callable[[], float]
) -> Timing:
    """Call `count` times, `concurrency` at once; `cpu_s` reads the CPU clock to charge."""
    latencies: list[float] = []
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            begun = time.perf_counter()
            await call()
            latencies.append(time.perf_counter() - begun)

    cpu, wall = cpu_s(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return Timing(latencies, time.perf_counter() - wall, cpu_s() - cpu)


def spent_cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, its threads included; on Linux to the microsecond."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; floats with two decimals."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=110).print(table, "")
