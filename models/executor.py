"""Carries out what the scheduler decides: loads, unloads, grants and the one timer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from config.errors import MotetError, TimedOut, Unavailable
from models.catalog.spec import ModelSpec
from models.driver import Driver, Loaded
from models.events import Events
from models.lease import LeaseListener
from models.scheduling.effects import Effect, EmitEvent, Grant, Load, NotifyWaiter, Reject, Unload
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.scheduler import Scheduler
from models.scheduling.slot import PRESENT

log = logging.getLogger(__name__)

LOAD_TIMEOUT_S = 600.0
UNLOAD_TIMEOUT_S = 30.0


@dataclass(slots=True)
class _Request:
    granted: asyncio.Future[Loaded]
    listener: LeaseListener | None
    model: str


@dataclass(slots=True)
class _Held:
    """A model that is loaded, as the scheduler's `generation` of it."""

    generation: int
    loaded: Loaded


@dataclass(slots=True)
class EffectExecutor:
    """Owns every loaded model. `driver_of` finds the driver of a back end."""

    scheduler: Scheduler
    driver_of: Callable[[str], Driver]
    events: Events
    remember: Callable[[], None] = lambda: None
    """Called when something was measured, to be kept for the next start."""
    _requests: dict[int, _Request] = field(default_factory=dict)
    _held: dict[str, _Held] = field(default_factory=dict)
    _leaving: dict[tuple[str, int], asyncio.Future[None]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _timer: asyncio.Handle | None = None
    _wake_s: float | None = None
    _tickets: int = 0
    _closed: bool = False

    @contextlib.asynccontextmanager
    async def hold(
        self,
        spec: ModelSpec,
        tenant: str,
        priority: int,
        wait_s: float,
        listener: LeaseListener | None,
    ) -> AsyncIterator[Loaded]:
        """The model, loaded, for as long as the context lasts."""
        if self._closed:
            raise _closing()
        self._notice(spec.name)
        needs = self._needs(spec)
        self._tickets += 1
        ticket, granted = self._tickets, asyncio.get_running_loop().create_future()
        self._requests[ticket] = _Request(granted, listener, spec.name)
        try:
            self.carry_out(self.scheduler.request(ticket, spec, needs, priority, tenant))
            try:
                if granted.done():
                    loaded = granted.result()
                else:
                    async with asyncio.timeout(wait_s):
                        loaded = await granted
            except TimeoutError as error:
                raise TimedOut(
                    f"'{spec.name}' was not free within {wait_s:g} s.", code="lease_timed_out"
                ) from error
            yield loaded
        finally:
            # Also when cancelled in the very tick of the grant: the scheduler knows by ticket
            # whether this ends a lease or a wait, so neither leaks.
            self._requests.pop(ticket, None)
            if granted.done() and not granted.cancelled():
                granted.exception()  # seen, so that asyncio does not report it as forgotten
            self.carry_out(self.scheduler.release(ticket))

    def _needs(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        """What its back end estimates, which may look at files: not for one that is there."""
        slot = self.scheduler.slots.get(spec.name)
        if slot and slot.state in PRESENT:
            return slot.placements
        return self.driver_of(spec.backend).estimate(spec)

    def carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Grant(ticket, name, _):
                    self._settle(ticket, self._held[name].loaded)
                case Reject(ticket, error):
                    self._settle(ticket, error)
                case NotifyWaiter(ticket, notice):
                    self._tell(ticket, notice)
                case EmitEvent(event, fields):
                    self.events.add(event, **fields)
                case Load() | Unload() if self._closed:
                    pass  # `close` ends everything itself
                case Load(spec, need, generation):
                    self._begin(self._load(spec, need, generation), f"load {spec.name}")
                case Unload(name, generation, _):
                    self._begin(self._unload(name, generation), f"unload {name}")
        self._set_timer()

    async def gone(self, name: str) -> None:
        """Wait until the present load of `name` is no more; at once when it is not loaded."""
        slot = self.scheduler.slots.get(name)
        if slot is None or slot.state not in PRESENT:
            return
        key = (name, slot.load.generation)
        if key not in self._leaving:
            self._leaving[key] = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._leaving[key])

    async def make_room(self, spec: ModelSpec) -> list[str]:
        """A model that is leased ran out of memory: unload what is idle beside it.

        Returns what went, when it is gone.
        """
        if held := self._held.get(spec.name):
            effects = self.scheduler.report_out_of_memory(spec.name, held.generation)
        else:
            needs = self.driver_of(spec.backend).estimate(spec)
            effects = self.scheduler.report_out_of_memory_crash(spec, needs)
        self.carry_out(effects)
        going = [effect.name for effect in effects if isinstance(effect, Unload)]
        async with asyncio.TaskGroup() as group:
            for each in going:
                group.create_task(self.gone(each), name=f"unload {each}: waiting")
        return going

    async def close(self) -> None:
        """Refuse who waits, end loads under way, unload everything."""
        self._closed = True
        self.carry_out(self.scheduler.close(_closing()))
        if self._timer:
            self._timer.cancel()
        loads = [task for task in self._tasks if task.get_name().startswith("load ")]
        for task in loads:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=UNLOAD_TIMEOUT_S)
        held, self._held = self._held, {}
        async with asyncio.TaskGroup() as group:
            for name, entry in held.items():
                group.create_task(self._end(name, entry.loaded), name=f"unload {name}")
        for key in list(self._leaving):
            self._left(*key)

    def _settle(self, ticket: int, outcome: Loaded | MotetError) -> None:
        request = self._requests.get(ticket)
        if request is None or request.granted.done():
            return  # cancelled in this tick; its `hold` releases the ticket
        if isinstance(outcome, MotetError):
            request.granted.set_exception(outcome)
        else:
            request.granted.set_result(outcome)

    def _tell(self, ticket: int, news: Mapping[str, Any]) -> None:
        request = self._requests.get(ticket)
        if request and request.listener:
            try:
                request.listener({**news, "model": request.model})
            except Exception:
                log.exception("a listener for model events failed")

    def _left(self, name: str, generation: int) -> None:
        """That load is no more: tell who waits for it."""
        waiting = self._leaving.pop((name, generation), None)
        if waiting and not waiting.done():
            waiting.set_result(None)

    def _progress(self, name: str, news: Mapping[str, Any]) -> None:
        self.events.add("progress", **{**news, "model": name})
        slot = self.scheduler.slots.get(name)
        for waiter in slot.queue.waiting if slot else ():
            self._tell(waiter.ticket, news)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s failed", task.get_name(), exc_info=error)

    async def _load(self, spec: ModelSpec, need: MemoryRequirement, generation: int) -> None:
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                loaded = await self.driver_of(spec.backend).load(
                    spec, need, partial(self._progress, spec.name)
                )
        except Exception as error:
            failure = _load_error(spec, error)
            log.warning("%s cannot be loaded: %s", spec.name, failure.message)
            self.carry_out(self.scheduler.report_load_failed(spec.name, generation, failure))
            self._left(spec.name, generation)
            return
        self._held[spec.name] = _Held(generation, loaded)
        if loaded.lost:
            loaded.lost.add_done_callback(partial(self._lost, spec.name, generation))
        self.carry_out(self.scheduler.report_loaded(spec.name, generation, loaded.memory))
        self.remember()
        log.info("%s is loaded", spec.name)

    async def _unload(self, name: str, generation: int) -> None:
        held = self._held.get(name)
        if held and held.generation == generation:
            del self._held[name]
            await self._end(name, held.loaded)
        self.carry_out(self.scheduler.report_unloaded(name, generation))
        self.remember()
        self._left(name, generation)
        log.info("%s is unloaded", name)

    async def _end(self, name: str, loaded: Loaded) -> None:
        try:
            async with asyncio.timeout(UNLOAD_TIMEOUT_S):
                await loaded.unload()
        except Exception:
            # Its memory is counted as free all the same: what is really free is measured.
            log.exception("unloading %s failed", name)

    def _lost(self, name: str, generation: int, lost: asyncio.Future[str]) -> None:
        held = self._held.get(name)
        if self._closed or lost.cancelled() or held is None or held.generation != generation:
            return
        log.warning("%s was lost: %s", name, lost.result())
        del self._held[name]
        self.carry_out(self.scheduler.report_crashed(name, generation, lost.result()))
        self._left(name, generation)

    def _notice(self, name: str) -> None:
        """See at once that it was lost: its callback comes a tick later, but whom it failed may
        ask again in this one, and must not be given it again."""
        held = self._held.get(name)
        if held and held.loaded.lost and held.loaded.lost.done():
            self._lost(name, held.generation, held.loaded.lost)

    def _set_timer(self) -> None:
        wake_s = None if self._closed else self.scheduler.next_wake_s()
        if self._timer:
            # Remembered here: uvloop's timers that are due already do not tell when.
            if self._wake_s == wake_s:
                return
            self._timer.cancel()
            self._timer = None
        if wake_s is not None:
            self._wake_s = wake_s
            self._timer = asyncio.get_running_loop().call_at(wake_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.scheduler.is_reading_due():
            for name, held in self._held.items():
                if memory := held.loaded.memory:
                    self.scheduler.report_memory(name, held.generation, memory)
        self.carry_out(self.scheduler.tick())


def _load_error(spec: ModelSpec, error: Exception) -> MotetError:
    if isinstance(error, MotetError):
        return error
    if isinstance(error, TimeoutError):
        message = f"'{spec.name}' was not loaded within {LOAD_TIMEOUT_S:g} s."
        translated: MotetError = TimedOut(message, code="load_timed_out")
    else:
        log.error("loading %s failed", spec.name, exc_info=error)
        message = f"'{spec.name}' cannot be loaded: {type(error).__name__}: {error}"
        translated = Unavailable(message, code="load_failed")
    translated.__cause__ = error
    return translated


def _closing() -> Unavailable:
    return Unavailable("The server is stopping.", code="shutting_down", retry_after_s=5.0)
