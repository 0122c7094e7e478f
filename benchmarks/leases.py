"""What the way to a model costs: a lease of one that is ready, and a call to a worker."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Timing, repeat, show
from benchmarks.tenants import TENANT
from config.settings import load_settings
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.manager import open_models
from models.scheduling.requirement import MemoryRequirement
from models.workers.host import Answer, TaskHandle
from models.workers.process import WorkerProcess

LEASES, CALLS = 20_000, 3_000
PICTURE_BYTES = {"png": 300_000, "raw": 3 * 2**20}
NAMES = ("one", "two", "three", "four", "five")
FILE = "roles: {chat: [one, two]}\nmodels:\n" + "".join(
    f"  {name}: {{task: chat, backend: reader, memory_bytes: 1000000, keep_alive_s: -1}}\n"
    for name in NAMES
)


class Echo:
    """A worker's handler that only answers: what remains is the way there and back."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._pictures = {kind: b"\0" * size for kind, size in PICTURE_BYTES.items()}

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        return header, self._pictures.get(method, b"")


class Nothing:
    """A model that takes no time, so that only the lease is measured."""

    capability = object()
    lost: asyncio.Future[str] | None = None
    memory: Mapping[str, int] = {"ram": 1_000_000}

    async def unload(self) -> None:
        pass


class NothingDriver:
    """The back end of `Nothing`."""

    def __init__(self, name: str, context: DriverContext) -> None:
        pass

    async def available(self, spec: ModelSpec) -> str | None:
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return [MemoryRequirement({"ram": spec.memory_bytes or 0})]

    async def load(self, spec: ModelSpec, need: MemoryRequirement, progress: Progress) -> Nothing:
        return Nothing()

    async def close(self) -> None:
        pass


async def main() -> None:
    """Print both."""
    rows = [*await _leases(), *await _calls()]
    show("The way to a model", ["", "median ms", "p99 ms", "CPU µs"], rows)


async def _leases() -> list[list[object]]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models.yaml").write_text(FILE)
        settings = load_settings(home=Path(folder))
        async with open_models(settings, build=NothingDriver) as models:
            async with contextlib.AsyncExitStack() as stack:
                for name in NAMES:  # others are loaded and in use beside it
                    await stack.enter_async_context(models.lease(name, "chat", tenant=TENANT))

                async def by(name: str) -> None:
                    async with models.lease(name, "chat", tenant=TENANT):
                        pass

                return [
                    _row(f"lease of a ready model, by its {what}", await _timed(call, LEASES))
                    for what, call in (("name", lambda: by("one")), ("role", lambda: by("chat")))
                ]


async def _calls() -> list[list[object]]:
    worker = await WorkerProcess.start("benchmarks.leases:Echo", name="echo", options={})
    try:

        async def call(method: str) -> None:
            await worker.call(method, {"text": "a sentence to work on"}, timeout_s=10.0)

        return [
            _row("call to a worker", await _timed(lambda: call("text"), CALLS)),
            _row("call that answers with 300 kB", await _timed(lambda: call("png"), CALLS)),
            _row("call that answers with 3 MiB", await _timed(lambda: call("raw"), 500)),
        ]
    finally:
        await worker.stop()


async def _timed(call: Callable[[], Awaitable[None]], count: int) -> Timing:
    await repeat(call, count // 10, 1, time.process_time)  # warm
    return await repeat(call, count, 1, time.process_time)


def _row(what: str, timing: Timing) -> list[object]:
    p50, p99 = timing.quantile_ms(0.5), timing.quantile_ms(0.99)
    return [what, f"{p50:.3f}", f"{p99:.3f}", round(timing.cpu_ms * 1e3)]


if __name__ == "__main__":
    asyncio.run(main())
