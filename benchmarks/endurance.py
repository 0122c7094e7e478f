"""Thousands of mixed runs against one server process: what it holds on to.

`python -m benchmarks endurance --runs=10000`. The kinds of runs take turns: finished, of a model,
waiting and answered, failed, cancelled, refused, with readers that leave. After each tenth the
server rests, and its memory, threads, descriptors and database are read. All but the database,
which keeps the runs, must be flat.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from uuid import uuid4

import aiohttp

from benchmarks.measure import show
from benchmarks.server import ServerProcess, running_server
from tests.support.ollama import Ollama

CONCURRENCY = 12
SAMPLES = 10
WARM_SAMPLES = 2
"""Caches and arenas fill in the first ones; growth is counted behind them."""
MOST_KB_PER_RUN = 1.0
MIB = 2**20

TEXT = "the quick brown fox jumps over the lazy dog " * 20


@dataclass(frozen=True)
class Sample:
    """What the resting server holds after so many runs."""

    runs: int
    seconds: float
    memory_mib: float
    threads: int
    descriptors: int
    database_mib: float


class Client:
    """Makes runs of each kind, and checks that each ends as it should."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def kinds(self) -> list[Callable[[], Awaitable[None]]]:
        """Return the kinds of runs, in the order in which they take turns."""
        return [
            self.streamed,
            self.on_thread,
            self.templates,
            self.model,
            self.answered,
            self.failed,
            self.cancelled,
            self.cancelled_waiting,
            self.refused,
            self.reader_leaves,
            self.followers_leave,
            self.repeated,
        ]

    async def streamed(self) -> None:
        await self._finish("bench_three", {"x": 0})

    async def on_thread(self) -> None:
        thread = {"thread_id": str(uuid4()), "if_not_exists": "create"}
        await self._finish("bench_three", {"x": 0}, **thread)
        await self._finish("bench_three", {"x": 0}, **thread)
        async with self._session.delete(f"/threads/{thread['thread_id']}") as response:
            assert response.status == 204, await response.text()

    async def templates(self) -> None:
        await self._finish("endure_words", {"text": TEXT})

    async def model(self) -> None:
        await self._finish("endure_model", {"text": "Say hello."})

    async def failed(self) -> None:
        assert "run.failed" in await self._run("endure_words", {"text": TEXT, "fails": True})

    async def answered(self) -> None:
        address = await self._background("endure_person", {"text": "Good?"})
        await self._follow(address, "run.waiting")
        body = {"answer": {"good": True}}
        async with self._session.post(f"{address}/resume", json=body) as response:
            assert "run.finished" in await response.text()

    async def cancelled(self) -> None:
        address = await self._background("bench_quiet", {"x": 0})
        async with self._session.post(f"{address}/cancel") as response:
            assert response.status == 200, await response.text()

    async def cancelled_waiting(self) -> None:
        address = await self._background("endure_person", {"text": "Good?"})
        await self._follow(address, "run.waiting")
        async with self._session.post(f"{address}/cancel") as response:
            assert response.status == 200, await response.text()

    async def refused(self) -> None:
        body = {"input": {"txt": 1}}
        async with self._session.post("/agents/endure_words/run", json=body) as response:
            assert response.status == 422, await response.text()

    async def reader_leaves(self) -> None:
        """Leave in the middle of the stream; the run is cancelled."""
        body = {"input": {"x": 0}}
        async with self._session.post("/agents/bench_quiet/run", json=body) as response:
            await response.content.readline()
            response.close()

    async def followers_leave(self) -> None:
        address = await self._background("bench_quiet", {"x": 0})
        for _ in range(3):
            async with self._session.get(f"{address}/events") as response:
                await response.content.readline()
                response.close()

    async def repeated(self) -> None:
        headers = {"Idempotency-Key": str(uuid4())}
        body = {"input": {"x": 0}, "stream": False}
        for _ in range(2):
            url = "/agents/bench_three/run"
            async with self._session.post(url, json=body, headers=headers) as response:
                assert response.status == 200, await response.text()

    async def _finish(self, agent: str, input: object, **options: object) -> None:
        text = await self._run(agent, input, **options)
        assert "run.finished" in text, text

    async def _run(self, agent: str, input: object, **options: object) -> str:
        body = {"input": input, **options}
        async with self._session.post(f"/agents/{agent}/run", json=body) as response:
            return await response.text()

    async def _background(self, agent: str, input: object) -> str:
        body = {"input": input, "background": True}
        async with self._session.post(f"/agents/{agent}/run", json=body) as response:
            assert response.status == 202, await response.text()
            return response.headers["Location"]

    async def _follow(self, address: str, last: str) -> None:
        async with self._session.get(f"{address}/events") as response:
            assert last in await response.text()


async def main() -> None:
    """Print what the server holds after each tenth of the runs, and the growth for each run."""
    parser = argparse.ArgumentParser(prog="benchmarks endurance")
    parser.add_argument("--runs", type=int, default=10_000)
    total = parser.parse_known_args(sys.argv[1:])[0].runs
    async with _server() as server:
        samples = await _endure(server, total)
    rows: list[list[object]] = [
        [
            each.runs,
            each.seconds,
            each.memory_mib,
            each.threads,
            each.descriptors,
            each.database_mib,
        ]
        for each in samples
    ]
    headings = ["runs", "s", "memory MiB", "threads", "descriptors", "database MiB"]
    show("A server at rest after mixed runs", headings, rows)
    growth = _growth_kb(samples)
    flat = "flat" if growth <= MOST_KB_PER_RUN else "not flat"
    print(f"Memory grows by {growth:.2f} KB a run behind the first {samples[1].runs}: {flat}.")


@asynccontextmanager
async def _server() -> AsyncIterator[ServerProcess]:
    double = Ollama()
    double.add("endure")
    double.start()
    try:
        async with running_server(ollama_url=double.url) as server:
            yield server
    finally:
        double.stop()


async def _endure(server: ServerProcess, total: int) -> list[Sample]:
    connector = aiohttp.TCPConnector(limit=4 * CONCURRENCY)
    async with aiohttp.ClientSession(server.url, connector=connector) as session:
        kinds = cycle(Client(session).kinds())
        begun = time.monotonic()
        samples = []
        for number in range(SAMPLES):
            await _run_share(kinds, total // SAMPLES)
            await _wait_idle(session)
            samples.append(_sample(server, (number + 1) * total // SAMPLES, begun))
        return samples


async def _run_share(kinds: cycle[Callable[[], Awaitable[None]]], count: int) -> None:
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            await next(kinds)()

    await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))


async def _wait_idle(session: aiohttp.ClientSession) -> None:
    """Wait until no run is under way; what a reader left behind is cancelled soon."""
    while True:
        busy = 0
        for status in ("queued", "running"):
            async with session.get("/runs", params={"status": status, "limit": 1}) as response:
                busy += len((await response.json())["runs"])
        if not busy:
            return
        await asyncio.sleep(0.2)


def _sample(server: ServerProcess, runs: int, begun: float) -> Sample:
    process = server.process
    files = server.home.glob("runs.db*")
    return Sample(
        runs=runs,
        seconds=time.monotonic() - begun,
        memory_mib=process.memory_info().rss / MIB,
        threads=process.num_threads(),
        descriptors=process.num_fds(),
        database_mib=sum(file.stat().st_size for file in files) / MIB,
    )


def _growth_kb(samples: list[Sample]) -> float:
    first, last = samples[WARM_SAMPLES - 1], samples[-1]
    return (last.memory_mib - first.memory_mib) * 1024 / max(last.runs - first.runs, 1)


if __name__ == "__main__":
    asyncio.run(main())
