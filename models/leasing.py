"""From a name to a lease: resolve it, get the model loaded, pass over what cannot be had."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from config.errors import MotetError, NotFound, TimedOut, Unavailable
from models.catalog.resolved import ResolvedModel
from models.catalog.roles import Drivers, Resolver
from models.catalog.spec import Task
from models.executor import EffectExecutor
from models.lease import Lease, LeaseAttempt, LeaseListener, OutOfMemoryRetry

WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """Who asks for what: the arguments of `Models.lease`."""

    name: str
    task: Task
    tenant: str = "default"
    priority: int | None = None
    wait_s: float | None = None
    listener: LeaseListener | None = None

    def tell(self, **event: object) -> None:
        if self.listener:
            self.listener(event)


class LeaseBroker:
    """Lends models out, as `Models.lease` and `Models.attempts` promise."""

    def __init__(self, resolver: Resolver, drivers: Drivers, runner: EffectExecutor) -> None:
        self._resolver = resolver
        self._drivers = drivers
        self._runner = runner

    @contextlib.asynccontextmanager
    async def lease(self, wish: LeaseRequest) -> AsyncIterator[Lease]:
        async with contextlib.AsyncExitStack() as stack:
            yield await self._take(stack, wish)

    def attempts(self, wish: LeaseRequest) -> AsyncIterator[LeaseAttempt]:
        relieve = partial(self._relieve, wish)
        return OutOfMemoryRetry(lambda last: LeaseAttempt(self.lease(wish), relieve, last))

    async def _take(self, stack: contextlib.AsyncExitStack, wish: LeaseRequest) -> Lease:
        failed: dict[str, str] = {}
        last: MotetError | None = None
        while True:
            choice = await self._choose(wish, failed, last)
            spec = choice.model
            wish.tell(phase="chosen", **choice.as_dict())
            rank = spec.priority if wish.priority is None else wish.priority
            wait_s = WAIT_S if wish.wait_s is None else wish.wait_s
            holding = self._runner.hold(spec, wish.tenant, rank, wait_s, wish.listener)
            try:
                loaded = await stack.enter_async_context(holding)
            except (Unavailable, NotFound, TimedOut) as error:
                if choice.role is None or error.code in ("lease_timed_out", "shutting_down"):
                    raise
                failed[spec.name], last = error.message, error
                continue
            wish.tell(phase="ready", model=spec.name)
            return Lease(choice, loaded.capability)

    async def _choose(
        self, wish: LeaseRequest, failed: dict[str, str], last: MotetError | None
    ) -> ResolvedModel:
        """The next model to try, without those that failed."""
        try:
            choice = await self._resolver.resolve(wish.name, wish.task, failed)
        except Unavailable as error:
            # Where a role has but one model, its own error says it best.
            if last and len(error.details.get("passed_over", ())) == 1:
                raise last from error
            raise
        spec = choice.model
        if choice.role is None and spec.name not in self._runner.scheduler.slots:
            # Nobody asked its back end yet, which can only estimate what it has looked at.
            await self._drivers.get(spec.backend).available(spec)
        return choice

    async def _relieve(
        self, wish: LeaseRequest, lease: Lease, error: MotetError, last: bool
    ) -> MotetError:
        """Make room beside the model of `lease`; the error, saying what was done."""
        name = lease.model.name
        if not last:
            gone = await self._runner.make_room(lease.model)
            wish.tell(phase="out_of_memory", model=name, unloaded=gone)
        done = "Idle models beside it were unloaded, and it was tried again. " if last else ""
        return Unavailable(
            f"{error.message} {done}Ask it for less at once, or use a smaller model.",
            code=error.code,
            details={**error.details, "model": name},
        )
