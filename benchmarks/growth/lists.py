"""Lists of runs and searches of threads, over as many as a busy service has after a year.

The rows are written straight into the database, before the server starts.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.measure import median, show
from benchmarks.server import ServerProcess
from runs import schema

SIZES = (1_000, 20_000, 1_000_000)
REPEATS = 50
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
RUNS = (
    NUMBERS + "INSERT INTO runs (run_id, tenant, agent, version, thread_id, own_thread, status, "
    "attempt, input, created_at, multitask, metadata, started_at, ended_at, output) SELECT "
    "printf('00000000-%012d', i), 'default', iif(i % 10, 'chat', 'ask'), 'v', "
    "printf('00000000-0000-4000-8000-%012d', i % 1000), 0, iif(i % 1000, 'finished', 'failed'), 1, "
    "'{\"question\": \"?\"}', i, 'enqueue', '{}', i, i, '{\"answer\": \"!\"}' FROM n"
)
THREADS = (
    NUMBERS + "INSERT INTO threads (thread_id, tenant, metadata, created_at, updated_at) SELECT "
    "printf('00000000-0000-4000-8000-%012d', i), 'default', "
    "json_object('app', 'x', 'user', 'user ' || (i % 1000)), i, i FROM n"
)

Call = Callable[[aiohttp.ClientSession], Awaitable[Any]]


def _get(path: str) -> Call:
    async def call(client: aiohttp.ClientSession) -> None:
        async with client.get(path) as response:
            assert (await response.json())["runs"], path

    return call


def _search(**body: Any) -> Call:
    async def call(client: aiohttp.ClientSession) -> None:
        async with client.post("/threads/search", json=body) as response:
            assert await response.json(), body

    return call


LISTS: dict[str, Call] = {
    "runs, newest 50": _get("/runs"),
    "runs that failed": _get("/runs?status=failed"),
    "runs of an agent that finished": _get("/runs?agent=ask&status=finished"),
    "runs of a thread": _get("/runs?thread_id=00000000-0000-4000-8000-000000000007"),
    "runs, a page in the middle": _get("/runs?before=00000000-000000000500"),
    "threads, last used": _search(),
    "threads of one user in a thousand": _search(metadata={"user": "user 7"}),
    "threads by what all of them have": _search(metadata={"app": "x"}),
    "threads by both": _search(metadata={"app": "x", "user": "user 7"}),
}


async def main() -> None:
    """Print the median time of each list for each number of rows."""
    columns = [await _measure(size) for size in SIZES]
    show(
        "Lists over HTTP, wall p50, ms",
        ["rows of each kind", *(f"{size:,}" for size in SIZES)],
        [[name, *(column[name] for column in columns)] for name in LISTS],
    )


async def _measure(size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="motet-bench-") as folder:
        await asyncio.to_thread(_fill, Path(folder) / "runs.db", size)
        server = ServerProcess(Path(folder))
        await server.start()
        try:
            async with aiohttp.ClientSession(server.url) as client:
                return {name: await _time_ms(client, call) for name, call in LISTS.items()}
        finally:
            await server.stop()


def _fill(file: Path, size: int) -> None:
    schema.prepare(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        for sql in (RUNS, THREADS):
            connection.execute(sql, (size,))


async def _time_ms(client: aiohttp.ClientSession, call: Call) -> float:
    await call(client)
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        await call(client)
        times.append((time.perf_counter() - begun) * 1e3)
    return median(times)


if __name__ == "__main__":
    asyncio.run(main())
