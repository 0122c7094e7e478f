"""A back end that records what is asked of it and never allows the forbidden."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from config.errors import Unavailable
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement


class FakeLoaded:
    def __init__(self, driver: FakeDriver, spec: ModelSpec) -> None:
        self._driver = driver
        self.spec = spec
        self.capability = object()
        self.memory = None if spec.memory_bytes is None else {"ram": spec.memory_bytes}
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.users = 0

    async def unload(self) -> None:
        assert self.users == 0, "unloaded while leased"
        self._driver.log.append(f"unload {self.spec.name}")
        self._driver.loaded.remove(self)
        self._driver.unloaded.set()


class FakeDriver:
    """Loads at once, or when `gate` opens. `down`, `broken` and `found` set the scene."""

    def __init__(self, name: str, context: DriverContext) -> None:
        self.name, self.context = name, context
        self.log: list[str] = []
        self.loaded: list[FakeLoaded] = []
        self.loading = asyncio.Event()
        self.unloaded = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.down: str | None = None
        self.broken: dict[str, Exception] = {}
        self.found: list[str] = []
        self.closed = False

    async def available(self, spec: ModelSpec) -> str | None:
        return self.down

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        if self.down:
            raise Unavailable(self.down)
        return [self.named(source, task) for source in self.found if task == "chat"]

    def named(self, source: str, task: Task) -> ModelSpec:
        return ModelSpec(name=f"{self.name}/{source}", task=task, backend=self.name, source=source)

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return [MemoryRequirement({"ram": spec.memory_bytes or 0})]

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> FakeLoaded:
        self.log.append(f"load {spec.name}")
        self.loading.set()
        progress({"phase": "warming", "completed": 1})
        await self.gate.wait()
        if error := self.broken.get(spec.name):
            raise error
        loaded = FakeLoaded(self, spec)
        self.loaded.append(loaded)
        return loaded

    async def close(self) -> None:
        assert not self.loaded, "closed with models loaded"
        self.closed = True


class FakeDrivers:
    """Builds one fake for each back end, for `open_models(build=...)`."""

    def __init__(self) -> None:
        self.drivers: dict[str, FakeDriver] = {}

    def __call__(self, backend: str, context: DriverContext) -> Any:
        return self.drivers.setdefault(backend, FakeDriver(backend, context))

    def __getitem__(self, backend: str) -> FakeDriver:
        return self.drivers[backend]
