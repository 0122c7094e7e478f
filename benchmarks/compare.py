"""Two checkouts of Motet side by side: what a change costs.

`python -m benchmarks.compare ../before` measures the server of another checkout and of this one in
turns, over HTTP alone, so that noise of the machine meets both alike. Each figure is the median of
the rounds; the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import aiohttp

from benchmarks.corpus import Corpus
from benchmarks.graphs import EMITTED
from benchmarks.measure import repeat, show
from benchmarks.server import ROOT, ServerProcess

RUNS, EMITTING_RUNS, SEARCHES = 200, 15, 150
WARM_UP = 20
MIB = 2**20
ADD_TIMEOUT = aiohttp.ClientTimeout(total=600)


@dataclass
class Checkout:
    """One of the two sides: its server, and each figure's value in each round."""

    label: str
    server: ServerProcess
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def tree_cpu_s(self) -> float:
        """CPU seconds of the server and of its workers so far."""
        processes = [self.server.process, *self.server.process.children(recursive=True)]
        times = [each.cpu_times() for each in processes]
        return float(sum(each.user + each.system for each in times))


async def main() -> None:
    """Print each figure of both checkouts and the ratio, after all rounds."""
    options = _options()
    async with AsyncExitStack() as stack:
        sides = [
            Checkout("before", _server(stack, options.other)),
            Checkout("after", _server(stack, ROOT)),
        ]
        for round_ in range(options.rounds):
            # Who comes second finds a warmer machine: the order alternates.
            for side in sides if round_ % 2 else reversed(sides):
                await _round(side, options.passages)
    show(f"Two checkouts, median of {options.rounds} rounds", HEADINGS, _rows(*sides))


HEADINGS = ("", "before", "after", "after / before")


def _rows(before: Checkout, after: Checkout) -> list[list[object]]:
    rows: list[list[object]] = []
    for name, values in before.figures.items():
        pairs = zip(values, after.figures[name], strict=True)
        ratio = statistics.median(new / old for old, new in pairs)
        new = statistics.median(after.figures[name])
        rows.append([name, statistics.median(values), new, ratio])
    return rows


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.compare")
    parser.add_argument("other", type=lambda text: Path(text).resolve())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--passages", type=int, default=200, help="indexed anew in each round")
    return parser.parse_args()


def _server(stack: AsyncExitStack, root: Path) -> ServerProcess:
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motet-bench-")))
    return ServerProcess(home, root=root, agents=str(root / "benchmarks" / "agents"))


async def _round(side: Checkout, passages: int) -> None:
    begun = time.perf_counter()
    await side.server.start()
    try:
        side.figures["ready after, s"].append(time.perf_counter() - begun)
        resident = side.server.process.memory_info().rss / MIB
        side.figures["resident memory at rest, MiB"].append(resident)
        async with aiohttp.ClientSession(side.server.url) as client:
            await _measure_runs(side, client)
            await _measure_events(side, client)
            await _measure_index(side, client, passages)
            await _measure_search(side, client)
    finally:
        await side.server.stop()


async def _measure_runs(side: Checkout, client: aiohttp.ClientSession) -> None:
    async def run() -> None:
        await _run_agent(client, "bench_three")

    await repeat(run, WARM_UP, 1, side.server.cpu_s)
    for concurrency in (1, 16):
        timing = await repeat(run, RUNS * concurrency // 4, concurrency, side.server.cpu_s)
        side.figures[f"CPU of a run, {concurrency} at once, ms"].append(timing.cpu_ms)


async def _measure_events(side: Checkout, client: aiohttp.ClientSession) -> None:
    cpu_ms = {}
    for agent in ("bench_quiet", "bench_emit"):

        async def run(agent: str = agent) -> None:
            await _run_agent(client, agent)

        await repeat(run, 3, 1, side.server.cpu_s)
        cpu_ms[agent] = (await repeat(run, EMITTING_RUNS, 1, side.server.cpu_s)).cpu_ms
    per_event = (cpu_ms["bench_emit"] - cpu_ms["bench_quiet"]) / EMITTED * 1e3
    side.figures["CPU of an event, µs"].append(per_event)


async def _run_agent(client: aiohttp.ClientSession, agent: str) -> None:
    async with client.post(f"/agents/{agent}/run", json={"input": {"x": 0}}) as response:
        body = await response.read()
        assert b"run.finished" in body, body


async def _measure_index(side: Checkout, client: aiohttp.ClientSession, passages: int) -> None:
    """Index the same new documents on both sides; the first loads the model and is not counted."""
    documents = list(Corpus().documents(passages))
    await client.delete("/indexes/bench")
    async with client.post("/indexes", json={"name": "bench"}) as created:
        assert created.status < 300, await created.text()
    await _add(client, "warm-up", documents[0][:2000])
    cpu_s, begun = side.tree_cpu_s(), time.perf_counter()
    for number, text in enumerate(documents):
        await _add(client, f"{number}.txt", text)
    side.figures["indexing a passage, ms"].append((time.perf_counter() - begun) / passages * 1e3)
    spent_s = side.tree_cpu_s() - cpu_s
    side.figures["CPU of indexing a passage, ms"].append(spent_s / passages * 1e3)


async def _add(client: aiohttp.ClientSession, source: str, text: str) -> None:
    body = {"source": source, "text": text}
    async with client.post("/indexes/bench/documents", json=body, timeout=ADD_TIMEOUT) as added:
        assert added.status < 300, await added.text()


async def _measure_search(side: Checkout, client: aiohttp.ClientSession) -> None:
    corpus = Corpus()
    questions = cycle([corpus.question() for _ in range(SEARCHES)])

    async def search() -> None:
        body = {"query": next(questions), "limit": 8}
        async with client.post("/indexes/bench/search", json=body) as response:
            assert (await response.json())["passages"]

    await repeat(search, WARM_UP, 1, side.tree_cpu_s)
    timing = await repeat(search, SEARCHES, 1, side.tree_cpu_s)
    side.figures["search p50, ms"].append(timing.quantile_ms(0.5))
    side.figures["CPU of a search, ms"].append(timing.cpu_ms)


if __name__ == "__main__":
    asyncio.run(main())
