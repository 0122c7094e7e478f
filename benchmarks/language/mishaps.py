"""Ten moments at which a model's process is killed or stopped, and how a run may end then."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import psutil

from benchmarks.language.llama_server import LlamaServer
from benchmarks.language.service import ObservedRun, run_agent
from benchmarks.server import ServerProcess

FINISHED = ""
"""The code of a run that has finished."""
UNREACHABLE, LOST = "openai_unreachable", "model_connection_lost"
DIED, SILENT = "worker_died", "model_timed_out"
IDLE, READING = "idle", "reading"
READING_S = 0.2
"""After a step's begin the prompt is being read; it takes longer than that to read."""
COUNTED = ", ".join(str(number) for number in range(1, 160))


def make_prompt(number: int) -> str:
    """Return a long prompt, of which no cache knows the beginning."""
    return f"{number}. Go on counting: {COUNTED},"


@dataclass(frozen=True, slots=True)
class Mishap:
    """A signal at a moment: before the run, while its prompt is read, or at its token `at`.

    `for_s` is how long a stopped process stands still; None: for good. `at_server` and `in_worker`
    are the codes of the ends that are right.
    """

    name: str
    signal: signal.Signals
    at: str | int
    at_server: frozenset[str]
    in_worker: frozenset[str]
    for_s: float | None = None


def _kill(name: str, at: str | int, server: set[str], worker: set[str]) -> Mishap:
    return Mishap(name, signal.SIGKILL, at, frozenset(server), frozenset(worker))


def _stop(name: str, at: str | int, right: set[str], for_s: float | None = None) -> Mishap:
    return Mishap(name, signal.SIGSTOP, at, frozenset(right), frozenset(right), for_s)


MISHAPS = (
    # A worker that is gone is started anew: the run does not notice.
    _kill("killed before the run", IDLE, {UNREACHABLE}, {FINISHED}),
    # An answer whose worker dies before its first word is asked for once more.
    _kill("killed while it reads", READING, {UNREACHABLE, LOST}, {DIED, FINISHED}),
    _kill("killed at the 1st token", 1, {LOST}, {DIED}),
    _kill("killed at the 8th token", 8, {LOST}, {DIED}),
    # What is on its way already may be the whole rest.
    _kill("killed at the 20th token", 20, {LOST, FINISHED}, {DIED, FINISHED}),
    _stop("stopped before the run", IDLE, {SILENT}),
    _stop("stopped while it reads", READING, {SILENT}),
    _stop("stopped at the 8th token", 8, {SILENT}),
    _stop("stopped for 2 s while it reads", READING, {FINISHED}, for_s=2),
    _stop("stopped for 2 s at the 1st token", 1, {FINISHED}, for_s=2),
)


class Victim(Protocol):
    """The process of a model: a server of somebody, or a worker of Motet's."""

    model: str

    def send(self, number: signal.Signals) -> None: ...

    def right_ends(self, mishap: Mishap) -> frozenset[str]: ...

    async def restore(self) -> None:
        """Bring it back after a mishap, as its owner would."""


class OfServer:
    """A llama.cpp server that Motet did not start."""

    def __init__(self, model: str, llama: LlamaServer) -> None:
        self.model = model
        self._llama = llama

    def send(self, number: signal.Signals) -> None:
        self._llama.signal(number)

    def right_ends(self, mishap: Mishap) -> frozenset[str]:
        return mishap.at_server

    async def restore(self) -> None:
        await self._llama.kill()
        await self._llama.start()


class OfWorker:
    """A worker, which Motet starts by itself when the model is asked for again."""

    def __init__(self, model: str, server: ServerProcess) -> None:
        self.model = model
        self._server = server

    def send(self, number: signal.Signals) -> None:
        for child in self._server.process.children():
            with suppress(psutil.NoSuchProcess):
                if child.cmdline()[-1:] == [self.model]:
                    child.send_signal(number)

    def right_ends(self, mishap: Mishap) -> frozenset[str]:
        return mishap.in_worker

    async def restore(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run with a mishap, and of the run behind it."""

    mishap: Mishap
    model: str
    run: ObservedRun
    is_right: bool
    following: str
    seconds: float

    @property
    def message(self) -> str:
        return f"{self.run.code}: {self.run.error.get('message', '')}; then {self.following}"

    def row(self) -> list[object]:
        ended = self.run.code or "finished"
        right = "yes" if self.is_right else "NO"
        return [self.mishap.name, self.model, ended, right, self.following, self.seconds]


async def provoke(client: httpx.AsyncClient, mishap: Mishap, victim: Victim) -> Report:
    """Run, disturb, restore, run again."""
    await run_agent(client, "bench_say", {"prompt": "Say yes.", "model": victim.model})
    begun = time.perf_counter()
    disturbing = Disturbing(mishap, victim)
    if mishap.at == IDLE:
        disturbing.begin()
    prompt = make_prompt(MISHAPS.index(mishap))
    input = {"prompt": prompt, "model": victim.model}
    run = await run_agent(client, "bench_say", input, disturbing.watch)
    seconds = time.perf_counter() - begun
    await disturbing.end()
    if mishap.for_s is None:
        await victim.restore()
    after = await run_agent(client, "bench_say", {"prompt": "Say yes.", "model": victim.model})
    right = disturbing.has_begun and run.code in victim.right_ends(mishap) and not after.code
    return Report(mishap, victim.model, run, right, after.code or "finished", seconds)


class Disturbing:
    """Sends a mishap's signals when a run's events say that its moment has come."""

    def __init__(self, mishap: Mishap, victim: Victim) -> None:
        self._mishap = mishap
        self._victim = victim
        self._tokens = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def has_begun(self) -> bool:
        return bool(self._tasks)

    def watch(self, event: Mapping[str, Any]) -> None:
        """See an event of the run."""
        self._tokens += event["type"] == "token"
        if self._mishap.at == READING and event["type"] == "step.started":
            self.begin(READING_S)
        elif event["type"] == "token" and self._tokens == self._mishap.at:
            self.begin()

    def begin(self, delay_s: float = 0.0) -> None:
        """Disturb once, at once or soon."""
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._disturb(delay_s), name="mishap"))

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _disturb(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        self._victim.send(self._mishap.signal)
        if self._mishap.for_s is not None:
            await asyncio.sleep(self._mishap.for_s)
            self._victim.send(signal.SIGCONT)
