"""How soon the server is ready, and how much memory it holds while nobody asks anything."""

from __future__ import annotations

import time

from benchmarks.measure import median, show
from benchmarks.server import running_server

ROUNDS = 7


async def main() -> None:
    """Print the median time from the start of the process to readiness, and its resident memory."""
    ready_s, resident = [], []
    for round_ in range(ROUNDS + 1):
        begun = time.perf_counter()
        async with running_server() as server:
            if round_:  # the first warms the disk cache
                ready_s.append(time.perf_counter() - begun)
                resident.append(server.process.memory_info().rss / 2**20)
    show(
        "The server at rest",
        ["", "median", "min", "max"],
        [
            ["ready after, s", median(ready_s), min(ready_s), max(ready_s)],
            ["resident memory, MiB", median(resident), min(resident), max(resident)],
        ],
    )
