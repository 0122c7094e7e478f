"""The log of a long run: its readers, pages of it, and going on behind it.

The events of finished runs are written straight into the database, before the server starts.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.measure import median, show, spent_cpu_s
from benchmarks.server import ServerProcess
from runs import schema
from runs.events import Batch, RunEvent, encode_event
from runs.record import Run
from runs.rows import insert_events, insert_run

SIZES = (100, 10_000, 200_000)
BATCH = 500
READERS = (1, 50)
REPEATS = 30
MIB = 2**20
JSON = {"accept": "application/json"}


async def main() -> None:
    """Print what readers of a run cost by its number of events."""
    readers: list[list[object]] = []
    pages: list[list[object]] = []
    for size in SIZES:
        for batch in (BATCH, 1) if size <= 10_000 else (BATCH,):
            async with _served(size, batch) as server, aiohttp.ClientSession(server.url) as client:
                pages.append(
                    [
                        f"{size:,}",
                        batch,
                        *[await _page_ms(client, at) for at in (0, (size - 100) // 2, size - 100)],
                    ]
                )
                for count in READERS:
                    readers.append([f"{size:,}", batch, count, *await _read(server, client, count)])
    show(
        "A page of 100 events, wall p50, ms",
        ["events", "a batch", "first", "in the middle", "last"],
        pages,
    )
    show(
        "Readers of a finished run, from its first event",
        ["events", "a batch", "readers", "seconds", "server CPU s", "memory +MiB", "loop ms"],
        readers,
    )


@asynccontextmanager
async def _served(size: int, batch: int) -> AsyncIterator[ServerProcess]:
    with tempfile.TemporaryDirectory(prefix="motet-bench-") as folder:
        await asyncio.to_thread(_fill, Path(folder) / "runs.db", size, batch)
        server = ServerProcess(Path(folder))
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


def _fill(file: Path, size: int, batch: int) -> None:
    schema.prepare(file)
    run = Run(
        run_id="long",
        tenant="default",
        agent="chat",
        version="v",
        thread_id="long",
        own_thread=True,
        status="finished",
        attempt=1,
        input={},
        created_at=0.0,
        output={},
    )
    with closing(sqlite3.connect(file)) as connection, connection:
        insert_run(run).execute_on(connection)
        for events in _batches(size, batch):
            insert_events(run.run_id, Batch(events)).execute_on(connection)


def _batches(size: int, batch: int) -> Iterator[list[RunEvent]]:
    token = {
        "node": "answer",
        "step": "0" * 36,
        "attempt": 1,
        "data": {"text": "word ", "message": "m"},
    }
    for first in range(1, size, batch):
        numbers = range(first, min(first + batch, size))
        yield [encode_event("long", number, "token", token) for number in numbers]
    yield [encode_event("long", size, "run.finished", {"data": {"output": {}}})]


async def _page_ms(client: aiohttp.ClientSession, after: int) -> float:
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        async with client.get(
            f"/runs/long/events?after={after}&limit=100", headers=JSON
        ) as response:
            assert len((await response.json())["events"]) == 100
        times.append((time.perf_counter() - begun) * 1e3)
    return median(times)


@dataclass
class Watch:
    """What a server held, and for how long it did not answer, while something else was done."""

    memory_mib: float = 0.0
    longest_ms: float = 0.0

    async def look(self, server: ServerProcess, client: aiohttp.ClientSession) -> None:
        """Look again and again, until cancelled."""
        while True:
            begun = time.perf_counter()
            async with client.get("/ready") as response:
                await response.read()
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - begun) * 1e3)
            self.memory_mib = max(self.memory_mib, _memory_mib(server))
            await asyncio.sleep(0.002)


async def _read(server: ServerProcess, client: aiohttp.ClientSession, count: int) -> list[object]:
    pid, before_mib = server.process.pid, _memory_mib(server)
    watch = Watch()
    looking = asyncio.create_task(watch.look(server, client))
    cpu_s, begun = spent_cpu_s(pid), time.perf_counter()
    await asyncio.gather(*(_follow(client) for _ in range(count)))
    spent = [time.perf_counter() - begun, spent_cpu_s(pid) - cpu_s]
    looking.cancel()
    await asyncio.wait([looking])
    return [*spent, watch.memory_mib - before_mib, watch.longest_ms]


async def _follow(client: aiohttp.ClientSession) -> None:
    async with client.get("/runs/long/events") as response:
        async for chunk in response.content.iter_any():
            last = chunk
    assert b"run.finished" in last, last[-200:]


def _memory_mib(server: ServerProcess) -> float:
    return float(server.process.memory_info().rss / MIB)


if __name__ == "__main__":
    asyncio.run(main())
