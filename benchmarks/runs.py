"""A three-node graph through the whole service against bare LangGraph in process."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from pathlib import Path

import aiohttp
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from benchmarks.graphs import three
from benchmarks.measure import Timing, repeat, show
from benchmarks.server import ServerProcess, running_server
from runs.checkpoints import open_checkpoints
from runs.database import open_run_database

CONCURRENCY = (1, 16, 64)
COUNT = {1: 300, 16: 800, 64: 1600}
BODY = {"input": {"x": 0}}


async def main() -> None:
    """Print latency, throughput and CPU of a run: the service, then LangGraph alone."""
    rows: list[list[object]] = []
    async with running_server() as server:
        for concurrency in CONCURRENCY:
            rows.append(_row("Motet, streamed", concurrency, await _service(server, concurrency)))
            rows.append(
                _row("Motet, on a thread", concurrency, await _service(server, concurrency, True))
            )
        first = await _first_events(server)
    with tempfile.TemporaryDirectory() as folder:
        for concurrency in CONCURRENCY:
            rows += await _bare(Path(folder), concurrency)
    show(
        "A checkpointed run of three trivial nodes (Motet: with HTTP, run record, event log)",
        ["", "at once", "p50 ms", "p99 ms", "runs/s", "CPU ms/run"],
        sorted(rows, key=lambda row: int(str(row[1]))),
    )
    show(
        "Time to the first event of a streamed run",
        ["", "p50 ms", "p99 ms"],
        [["Motet", first.quantile_ms(0.5), first.quantile_ms(0.99)]],
    )


def _row(name: str, concurrency: int, timing: Timing) -> list[object]:
    return [
        name,
        concurrency,
        timing.quantile_ms(0.5),
        timing.quantile_ms(0.99),
        timing.per_second,
        timing.cpu_ms,
    ]


async def _service(server: ServerProcess, concurrency: int, on_thread: bool = False) -> Timing:
    from uuid import uuid4

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(server.url, connector=connector) as client:

        async def call() -> None:
            thread = {"thread_id": str(uuid4()), "if_not_exists": "create"} if on_thread else {}
            async with client.post("/agents/bench_three/run", json={**BODY, **thread}) as response:
                body = await response.read()
                assert b"run.finished" in body, body

        await repeat(call, 32, concurrency, server.cpu_s)
        return await repeat(call, COUNT[concurrency], concurrency, server.cpu_s)


async def _first_events(server: ServerProcess) -> Timing:
    async with aiohttp.ClientSession(server.url) as client:
        latencies = []
        for _ in range(200):
            begun = time.perf_counter()
            async with client.post("/agents/bench_three/run", json=BODY) as response:
                await response.content.readline()
                latencies.append(time.perf_counter() - begun)
                await response.read()
        return Timing(latencies, sum(latencies), 0.0)


async def _bare(folder: Path, concurrency: int) -> list[list[object]]:
    rows = []
    rows.append(await _graph_row("LangGraph, in memory", concurrency, InMemorySaver()))
    async with AsyncSqliteSaver.from_conn_string(str(folder / f"{concurrency}.db")) as saver:
        rows.append(await _graph_row("LangGraph, AsyncSqliteSaver", concurrency, saver))
    path = folder / f"{concurrency}-ours.db"
    async with open_run_database(path) as database, open_checkpoints(database, path) as ours:
        rows.append(await _graph_row("LangGraph, Motet's checkpointer", concurrency, ours))
    return rows


async def _graph_row(name: str, concurrency: int, saver: object) -> list[object]:
    graph = three().compile(saver)  # type: ignore[arg-type]
    threads = itertools.count()

    async def call() -> None:
        config = {"configurable": {"thread_id": f"{name}-{concurrency}-{next(threads)}"}}
        async for _ in graph.astream({"x": 0}, config, stream_mode=["tasks", "values"]):  # type: ignore[call-overload]
            pass

    await repeat(call, 32, concurrency, time.process_time)
    timing = await repeat(call, COUNT[concurrency], concurrency, time.process_time)
    return _row(name, concurrency, timing)


if __name__ == "__main__":
    asyncio.run(main())
