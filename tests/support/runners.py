"""Which models a double of Ollama holds: loading, keep_alive, eviction and the load queue.

Follows what was seen of the real scheduler: the queue limits only requests that wait for a load,
a loaded model serves on while others wait, and a runner in use outlives its own unload.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from tests.support.generation import Failed
from tests.support.script import Failure, Gate, Responder, Signal

FOREVER = timedelta(seconds=(2**63 - 1) / 1e9)  # Go's longest duration: the year 2319
QUEUE_FULL = Failure("server busy, please try again.  maximum pending requests exceeded", 503)


def meaningless(text: str) -> list[float]:
    """A vector for a text, of its letters, not of length 1."""
    return [float(1 + text.count(letter)) for letter in "abcdefgh"]


@dataclass
class Card:
    """A model that is installed, and what it says."""

    name: str
    responder: Responder
    capabilities: tuple[str, ...] = ("completion", "tools")
    family: str = "llama"
    parameter_size: str = "8.0B"
    quantization: str = "Q4_K_M"
    size_bytes: int = 60_000_000
    memory_bytes: int = 80_000_000
    vram_bytes: int = 0
    context_length: int = 8192
    embedding_length: int = 4096
    heads: int = 32
    layers: int = 0
    """0: the server does not tell how long a context's cache is."""
    go_template: bool = True
    modified_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    loading: Gate | Failure | None = None
    weights: str = ""
    """A model of the same weights under another name shares its runner."""
    vector: Callable[[str], list[float]] = meaningless

    @property
    def digest(self) -> str:
        return sha256(self.name.encode()).hexdigest()

    @property
    def blob(self) -> str:
        return sha256((self.weights or self.name).encode()).hexdigest()


@dataclass
class Runner:
    card: Card
    num_ctx: int
    slots: asyncio.Semaphore
    expires_at: datetime
    keep_alive_s: float
    uses: int = 0
    broken: bool = False
    timer: asyncio.TimerHandle | None = None
    gone: Signal = field(default_factory=Signal)


@dataclass
class Pending:
    card: Card
    num_ctx: int | None
    keep_alive_s: float
    answer: asyncio.Future[Runner]


class Runners:
    """Lives in the double's event loop; `run` is its scheduler and must be running."""

    def __init__(self, max_loaded: int, max_queue: int, parallel: int) -> None:
        self._max_loaded, self._parallel = max_loaded, parallel
        self._max_queue = max_queue
        self._queue: asyncio.Queue[Pending] = asyncio.Queue()
        self._waiting = 0
        self._loaded: dict[str, Runner] = {}

    def listing(self) -> list[Runner]:
        return sorted(self._loaded.values(), key=lambda runner: runner.expires_at, reverse=True)

    @asynccontextmanager
    async def use(
        self, card: Card, num_ctx: int | None, keep_alive_s: float
    ) -> AsyncIterator[Runner]:
        """A runner of the model, loaded if need be. Raises `Failed` when the queue is full."""
        runner = self._loaded.get(card.blob)
        if runner is None or self._stale(runner, num_ctx):
            pending = Pending(card, num_ctx, keep_alive_s, asyncio.Future())
            if self._waiting > self._max_queue:  # one more than that: the scheduler holds it
                raise Failed(QUEUE_FULL)
            self._waiting += 1
            self._queue.put_nowait(pending)
            try:
                runner = await pending.answer
            except asyncio.CancelledError:
                if pending.answer.done() and not pending.answer.cancelled():
                    self._release(pending.answer.result())
                raise
        else:
            self._take(runner, keep_alive_s)
        try:
            yield runner
        finally:
            self._release(runner)

    def unload(self, card: Card) -> None:
        """Asks the model's runner to go: now, or when its last request ends."""
        if runner := self._loaded.get(card.blob):
            self._expire(runner)

    async def run(self) -> None:
        while True:
            pending = await self._queue.get()
            try:
                await self._serve(pending)
            except Failed as error:
                if not pending.answer.done():
                    pending.answer.set_exception(error)
            finally:
                self._waiting -= 1

    async def _serve(self, pending: Pending) -> None:
        while not pending.answer.cancelled():
            runner = self._loaded.get(pending.card.blob)
            if runner is not None and not self._stale(runner, pending.num_ctx):
                self._take(runner, pending.keep_alive_s)
                pending.answer.set_result(runner)
                return
            if runner is None and len(self._loaded) < self._max_loaded:
                await self._load(pending)
                return
            # A waiting request whose client left still evicts; only then it is dropped.
            victim = runner or min(
                self._loaded.values(), key=lambda each: (each.uses > 0, each.keep_alive_s)
            )
            self._expire(victim)
            await victim.gone.wait(timeout_s=None)

    async def _load(self, pending: Pending) -> None:
        card = pending.card
        if isinstance(card.loading, Failure):
            raise Failed(card.loading)
        if isinstance(card.loading, Gate):
            await card.loading.passed()
        runner = Runner(
            card,
            pending.num_ctx or card.context_length,
            asyncio.Semaphore(self._parallel),
            _after(pending.keep_alive_s),
            pending.keep_alive_s,
        )
        self._loaded[card.blob] = runner
        if pending.answer.cancelled():
            self._rest(runner)
        else:
            self._take(runner, pending.keep_alive_s)
            pending.answer.set_result(runner)

    @staticmethod
    def _stale(runner: Runner, num_ctx: int | None) -> bool:
        return runner.broken or runner.num_ctx != (num_ctx or runner.card.context_length)

    def _take(self, runner: Runner, keep_alive_s: float) -> None:
        runner.uses += 1
        runner.keep_alive_s = keep_alive_s
        runner.expires_at = _after(keep_alive_s)
        if runner.timer:
            runner.timer.cancel()

    def _release(self, runner: Runner) -> None:
        runner.uses -= 1
        if runner.uses == 0 and not runner.gone.is_set:
            if runner.keep_alive_s != 0:
                runner.expires_at = _after(runner.keep_alive_s)
            self._rest(runner)

    def _rest(self, runner: Runner) -> None:
        if runner.keep_alive_s == 0:
            self._drop(runner)
        elif runner.keep_alive_s > 0:
            loop = asyncio.get_running_loop()
            runner.timer = loop.call_later(runner.keep_alive_s, self._expire, runner)

    def _expire(self, runner: Runner) -> None:
        runner.keep_alive_s, runner.expires_at = 0, datetime.now(UTC)
        if runner.uses == 0:
            self._drop(runner)

    def _drop(self, runner: Runner) -> None:
        if runner.timer:
            runner.timer.cancel()
        runner.gone.set()
        if self._loaded.get(runner.card.blob) is runner:
            del self._loaded[runner.card.blob]


def _after(keep_alive_s: float) -> datetime:
    wait = FOREVER if keep_alive_s < 0 else min(timedelta(seconds=keep_alive_s), FOREVER)
    return datetime.now(UTC) + wait
