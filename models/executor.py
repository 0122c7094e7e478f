"""Carries out what the scheduler decides: loads, unloads, grants and the one timer.

Owns every loaded model and every task that loads or unloads one. It decides nothing: each thing
that happens is reported to the scheduler, whose effects follow at once, in the same tick of the
event loop, so that nothing can come between a decision and what it changes here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from config.errors import MotetError, TimedOut, Unavailable, shutting_down
from models.catalog.spec import ModelSpec
from models.driver import Driver, Loaded
from models.events import Events
from models.lease import LeaseListener
from models.pending_grants import PendingGrants
from models.scheduling.effects import Effect, EmitEvent, Grant, Load, NotifyWaiter, Reject, Unload
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.scheduler import Scheduler
from models.scheduling.slot import PRESENT

log = logging.getLogger(__name__)

LOAD_TIMEOUT_S = 600.0
UNLOAD_TIMEOUT_S = 30.0
"""A model that takes longer to unload is counted as gone: what is free is measured anyway."""


@dataclass(slots=True)
class _HeldModel:
    """A model that is loaded, as the scheduler's `generation` of it."""

    generation: int
    loaded: Loaded


@dataclass(slots=True)
class EffectExecutor:
    """Owns every loaded model; `close` it. `driver_of` returns the driver of a back end."""

    scheduler: Scheduler
    driver_of: Callable[[str], Driver]
    events: Events
    save_estimates: Callable[[], None] = lambda: None
    """Called when something was measured, to be kept for the next start; must not block."""
    _pending: PendingGrants = field(default_factory=PendingGrants)
    _held: dict[str, _HeldModel] = field(default_factory=dict)
    _unload_waiters: dict[tuple[str, int], asyncio.Future[None]] = field(default_factory=dict)
    """By model and generation: completes when that load is no more."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _timer: asyncio.Handle | None = None
    _wake_s: float | None = None
    _closed: bool = False

    # Leases -------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def hold(
        self,
        spec: ModelSpec,
        tenant: str,
        priority: int,
        wait_s: float,
        listener: LeaseListener | None,
    ) -> AsyncIterator[Loaded]:
        """Hold the model, loaded, for as long as the context lasts; entering waits for it.

        Raises what loading raised, the scheduler's refusals, and `TimedOut` (`lease_timed_out`).
        """
        if self._closed:
            raise shutting_down()
        self._detect_crash(spec.name)
        placements = self._placements(spec)
        pending = self._pending.open(spec.name, listener)
        try:
            self.carry_out(
                self.scheduler.request(pending.ticket, spec, placements, priority, tenant)
            )
            yield await self._wait_granted(pending.granted, spec.name, wait_s)
        finally:
            # Also when cancelled in the very tick of the grant: the scheduler knows by ticket
            # whether this ends a lease or a wait, so neither leaks.
            self._pending.close(pending)
            self.carry_out(self.scheduler.release(pending.ticket))

    async def _wait_granted(
        self, granted: asyncio.Future[Loaded], name: str, wait_s: float
    ) -> Loaded:
        if granted.done():  # the usual case costs no timer
            return granted.result()
        try:
            async with asyncio.timeout(wait_s):
                return await granted
        except TimeoutError as error:
            message = f"'{name}' was not free within {wait_s:g} s."
            raise TimedOut(message, code="lease_timed_out") from error

    def _placements(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        """Return what the back end estimates, which may read files: not for a loaded model."""
        slot = self.scheduler.slots.get(spec.name)
        if slot and slot.state in PRESENT:
            return slot.placements
        return self.driver_of(spec.backend).estimate(spec)

    # Effects ------------------------------------------------------------------------------------

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Do what the scheduler asks for, in order; loads and unloads go on as tasks."""
        for effect in effects:
            match effect:
                case Grant(ticket, name, _):
                    self._pending.complete(ticket, self._held[name].loaded)
                case Reject(ticket, error):
                    self._pending.complete(ticket, error)
                case NotifyWaiter(ticket, notice):
                    self._pending.notify(ticket, notice)
                case EmitEvent(event, fields):
                    self.events.add(event, **fields)
                case Load() | Unload() if self._closed:
                    pass  # `close` ends everything itself
                case Load(spec, need, generation):
                    self._spawn(self._load(spec, need, generation), f"load {spec.name}")
                case Unload(name, generation, reason):
                    self._spawn(self._unload(name, generation, reason), f"unload {name}")
        self._set_timer()

    async def wait_unloaded(self, name: str) -> None:
        """Wait until the present load of `name` is no more; at once when it is not loaded."""
        slot = self.scheduler.slots.get(name)
        if slot is None or slot.state not in PRESENT:
            return
        key = (name, slot.load.generation)
        if key not in self._unload_waiters:
            self._unload_waiters[key] = asyncio.get_running_loop().create_future()
        # Shielded, because several may wait for the one future, and one of them be cancelled.
        await asyncio.shield(self._unload_waiters[key])

    async def make_room(self, spec: ModelSpec) -> list[str]:
        """Unload what is idle beside a leased model that ran out of memory.

        Returns the names of what was unloaded, when it is.
        """
        if held := self._held.get(spec.name):
            effects = self.scheduler.report_out_of_memory(spec.name, held.generation)
        else:
            placements = self.driver_of(spec.backend).estimate(spec)
            effects = self.scheduler.report_out_of_memory_crash(spec, placements)
        self.carry_out(effects)
        names = [effect.name for effect in effects if isinstance(effect, Unload)]
        async with asyncio.TaskGroup() as group:
            for each in names:
                group.create_task(self.wait_unloaded(each), name=f"unload {each}: waiting")
        return names

    async def close(self) -> None:
        """Reject who waits, cancel loads under way, unload everything."""
        self._closed = True  # from here on, effects start no task
        self.carry_out(self.scheduler.close(shutting_down()))
        if self._timer:
            self._timer.cancel()
        loads = [task for task in self._tasks if task.get_name().startswith("load ")]
        for task in loads:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=UNLOAD_TIMEOUT_S)
        held, self._held = self._held, {}
        async with asyncio.TaskGroup() as group:
            for name, each in held.items():
                group.create_task(_end_model(name, each.loaded), name=f"unload {name}")
        for key in list(self._unload_waiters):
            self._signal_unloaded(*key)

    # Loads --------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        # In nobody's context: a load is no part of the code of users that asked for it first.
        task = asyncio.create_task(work, name=name, context=Context())
        self._tasks.add(task)  # the loop holds tasks weakly
        task.add_done_callback(self._forget_task)

    def _forget_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s failed", task.get_name(), exc_info=error)

    async def _load(self, spec: ModelSpec, need: MemoryRequirement, generation: int) -> None:
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                driver, progress = self.driver_of(spec.backend), partial(self._progress, spec.name)
                loaded = await driver.load(spec, need, progress)
        except Exception as error:
            failure = _load_error(spec, error)
            log.warning("%s cannot be loaded: %s", spec.name, failure.message)
            self.carry_out(self.scheduler.report_load_failed(spec.name, generation, failure))
            self._signal_unloaded(spec.name, generation)
            return
        # Held before it is reported: the report's effects grant it.
        self._held[spec.name] = _HeldModel(generation, loaded)
        if loaded.lost:
            loaded.lost.add_done_callback(partial(self._take_crash, spec.name, generation))
        self.carry_out(self.scheduler.report_loaded(spec.name, generation, loaded.memory))
        self.save_estimates()
        log.info("%s is loaded on %s (load %d)", spec.name, need.device, generation)

    def _progress(self, name: str, report: Mapping[str, Any]) -> None:
        """Publish what a back end says while it loads, and notify who waits for it."""
        self.events.add("progress", **{**report, "model": name})
        slot = self.scheduler.slots.get(name)
        for waiter in slot.queue.waiting if slot else ():
            self._pending.notify(waiter.ticket, report)

    async def _unload(self, name: str, generation: int, reason: str) -> None:
        held = self._held.get(name)
        if held and held.generation == generation:
            # Given up before the wait: a crash during it must not be reported as well.
            del self._held[name]
            await _end_model(name, held.loaded)
        self.carry_out(self.scheduler.report_unloaded(name, generation))
        self.save_estimates()
        self._signal_unloaded(name, generation)
        log.info("%s is unloaded (load %d): %s", name, generation, reason or "not needed any more")

    def _signal_unloaded(self, name: str, generation: int) -> None:
        """Wake who waits until that load is no more."""
        waiting = self._unload_waiters.pop((name, generation), None)
        if waiting and not waiting.done():
            waiting.set_result(None)

    # Crashes and time ---------------------------------------------------------------------------

    def _take_crash(self, name: str, generation: int, crash: asyncio.Future[str]) -> None:
        held = self._held.get(name)
        if self._closed or crash.cancelled() or held is None or held.generation != generation:
            return  # it was unloaded meanwhile, or `_detect_crash` was first
        log.warning("%s crashed (load %d): %s", name, generation, crash.result())
        del self._held[name]
        self.carry_out(self.scheduler.report_crashed(name, generation, crash.result()))
        self._signal_unloaded(name, generation)

    def _detect_crash(self, name: str) -> None:
        """Take a crash in at once: its callback comes a tick later, but whom it failed may ask
        again in this one, and must not be given the dead model again."""
        held = self._held.get(name)
        if held and held.loaded.lost and held.loaded.lost.done():
            self._take_crash(name, held.generation, held.loaded.lost)

    def _set_timer(self) -> None:
        wake_s = None if self._closed else self.scheduler.next_wake_s()
        if self._timer:
            # Kept here, because uvloop's timers that are due already do not tell when.
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


async def _end_model(name: str, loaded: Loaded) -> None:
    try:
        async with asyncio.timeout(UNLOAD_TIMEOUT_S):
            await loaded.unload()
    except Exception:
        # Its memory is counted as free all the same: what is really free is measured.
        log.exception("unloading %s failed", name)


def _load_error(spec: ModelSpec, error: Exception) -> MotetError:
    """Translate what a driver raised (`load_timed_out`, `load_failed`, or its own error)."""
    if isinstance(error, MotetError):
        return _name_model(spec.name, error)
    if isinstance(error, TimeoutError):
        message = f"'{spec.name}' was not loaded within {LOAD_TIMEOUT_S:g} s."
        translated: MotetError = TimedOut(message, code="load_timed_out")
    else:
        log.error("loading %s failed", spec.name, exc_info=error)
        message = f"'{spec.name}' cannot be loaded: {type(error).__name__}: {error}"
        translated = Unavailable(message, code="load_failed")
    translated.__cause__ = error
    return translated


def _name_model(name: str, error: MotetError) -> MotetError:
    """Add the name in models.yaml to an error of a worker or a server, which may not know it."""
    if name not in error.message:
        error.message = f"'{name}' cannot be loaded: {error.message}"
        error.args = (error.message,)
    error.details.setdefault("model", name)
    return error
