"""A back end whose models are real worker processes that take real memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from models.backends.common.worker_model import WorkerModel
from models.catalog.spec import ModelSpec, Task
from models.devices import CPU, RAM
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess
from tests.support.scenarios.machine import MB, PROCESS_MB, SmallMachine
from tests.support.socket_gate import SocketGate

TARGET = "tests.support.scenarios.handlers:Talker"
SILENCE_S = 20.0
START_S = 20.0


class Talking(WorkerModel):
    """A loaded model, which is its own capability."""

    def __init__(self, worker: WorkerProcess, need: MemoryRequirement, lingers: bool) -> None:
        super().__init__(worker, need)
        self._lingers = lingers

    @property
    def capability(self) -> Talking:
        return self

    @property
    def worker(self) -> WorkerProcess:
        return self._worker

    async def unload(self) -> None:
        """One that `lingers` is as one that could not be ended in time: its process is there."""
        if not self._lingers:
            await super().unload()

    async def end(self) -> None:
        await super().unload()

    async def say(self, *words: str, gate: SocketGate | None = None) -> AsyncGenerator[str, None]:
        """The words, the last of them when the gate is open."""
        told = {"words": words, "gate": gate.path if gate else None}
        async with aclosing(self._stream("say", told, silence_s=SILENCE_S)) as replies:
            async for reply in replies:
                if not reply.last:
                    yield reply.header["word"]

    async def misbehave(self, how: str, silence_s: float = SILENCE_S) -> None:
        async with aclosing(self._stream(how, {}, silence_s=silence_s)) as replies:
            async for _ in replies:
                pass

    async def work(self, megabytes: int, full: str = "python") -> None:
        """Raises what a library raises where the machine has not so much left."""
        told = {"megabytes": megabytes, "full": full}
        await self._worker.call("work", told, timeout_s=SILENCE_S)


class TalkingDriver:
    """`options` of a model: `megabytes`, what its estimate `says_mb` when it is wrong, and those
    of the handler. It lives on `machine`."""

    def __init__(self, context: DriverContext, machine: SmallMachine) -> None:
        self._workers = context.workers
        self._machine = machine
        self.loaded: list[Talking] = []
        self.started: list[str] = []

    def latest(self, name: str) -> Talking:
        return next(each for each in reversed(self.loaded) if each.worker.name == name)

    async def available(self, spec: ModelSpec) -> str | None:
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        megabytes = spec.options.get("says_mb", spec.options["megabytes"])
        return [MemoryRequirement({RAM: (megabytes + PROCESS_MB) * MB}, CPU)]

    async def load(self, spec: ModelSpec, need: MemoryRequirement, progress: Progress) -> Talking:
        self.started.append(spec.name)
        machine: Mapping[str, Any] = {
            "others": sorted(self._machine.others),
            "total_bytes": self._machine.total_bytes,
        }
        options = {**spec.options, **machine}
        worker = await self._workers.start(
            TARGET, name=spec.name, options=options, start_timeout_s=START_S
        )
        self.loaded.append(Talking(worker, need, bool(spec.options.get("lingers"))))
        return self.loaded[-1]

    async def close(self) -> None:
        for model in self.loaded:
            await model.end()
