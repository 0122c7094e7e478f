"""Starts a worker, prints its pid, then waits to be killed while the worker hangs."""

from __future__ import annotations

import asyncio

from models.workers.process import WorkerProcess


async def main() -> None:
    worker = await WorkerProcess.start(
        "tests.support.worker_handler:Recorder", name="orphan", options={}
    )
    print(worker.pid, flush=True)
    await worker.call("hang")


asyncio.run(main())
