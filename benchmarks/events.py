"""What an event costs the server: 200 of them from one node, to one reader and to fifty."""

from __future__ import annotations

import asyncio

import aiohttp

from benchmarks.graphs import EMITTED
from benchmarks.measure import show
from benchmarks.server import ServerProcess, running_server

ROUNDS = 40


async def main() -> None:
    """Print the CPU of one event, for one reader and for fifty, less the run without any."""
    async with running_server() as server:
        await _rounds(server, "bench_emit", 1)
        rows = []
        for readers in (1, 50):
            quiet = await _rounds(server, "bench_quiet", readers)
            spent = await _rounds(server, "bench_emit", readers)
            per_event = (spent - quiet) / EMITTED * 1e6
            rows.append([f"{readers} reader{'s' * (readers > 1)}", per_event, per_event / readers])
    show(
        f"CPU of an event ({EMITTED} from one node)",
        ["", "µs/event", "µs/event and reader"],
        rows,
    )


async def _rounds(server: ServerProcess, agent: str, readers: int) -> float:
    """Server CPU seconds of one run that `readers` clients read."""
    connector = aiohttp.TCPConnector(limit=readers + 1)
    async with aiohttp.ClientSession(server.url, connector=connector) as client:
        before = server.cpu_s()
        for _ in range(ROUNDS):
            body = {"input": {"x": 0}, "background": readers > 1}
            async with client.post(f"/agents/{agent}/run", json=body) as response:
                text = await response.read()
                address = response.headers.get("Location")
            if readers > 1:
                words = EMITTED if agent == "bench_emit" else 0
                await asyncio.gather(*(_read(client, str(address), words) for _ in range(readers)))
            else:
                assert text.count(b"event: custom") == (EMITTED if agent == "bench_emit" else 0)
        return (server.cpu_s() - before) / ROUNDS


async def _read(client: aiohttp.ClientSession, address: str, words: int) -> None:
    async with client.get(f"{address}/events") as response:
        assert (await response.read()).count(b"event: custom") == words


if __name__ == "__main__":
    asyncio.run(main())
