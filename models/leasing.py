"""From a name to a lease: resolve it, get the model loaded, pass over what cannot be had."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from config.errors import MotetError, NotFound, TimedOut, Unavailable
from models.availability import Reason
from models.catalog.resolved import ResolvedModel
from models.catalog.roles import Resolver
from models.catalog.spec import Task
from models.driver_cache import DriverCache
from models.executor import EffectExecutor
from models.fallbacks import NeedsModel
from models.lease import Lease, LeaseAttempt, LeaseAttempts, LeaseListener

WAIT_S = 600.0
"""How long a request for a lease waits, unless it says otherwise."""
NOT_PASSED_OVER = ("lease_timed_out", "shutting_down")
"""Errors that the next model of a role would not mend."""


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """Who asks for what: the arguments of `Models.lease`."""

    name: str
    task: Task
    tenant: str
    priority: int | None = None
    wait_s: float | None = None
    listener: LeaseListener | None = None

    def notify(self, **event: object) -> None:
        """Call the listener, if there is one."""
        if self.listener:
            self.listener(event)


class LeaseBroker:
    """Leases models, as `Models.lease` and `Models.attempts` promise."""

    def __init__(self, resolver: Resolver, drivers: DriverCache, executor: EffectExecutor) -> None:
        self._resolver = resolver
        self._drivers = drivers
        self._executor = executor

    @contextlib.asynccontextmanager
    async def lease(self, request: LeaseRequest) -> AsyncIterator[Lease]:
        """Lease a model as long as the context lasts; entering waits for it."""
        async with contextlib.AsyncExitStack() as stack:
            lease = await self._take(stack, request)
            try:
                yield lease
            except NeedsModel as error:
                raise error.explain(lease.choice) from error

    def attempts(self, request: LeaseRequest) -> AsyncIterator[LeaseAttempt]:
        """Lease a model for work that runs again if it ran out of memory or lost its model."""
        relieve = partial(self._relieve, request)
        return LeaseAttempts(lambda last: LeaseAttempt(self.lease(request), relieve, last))

    async def _take(self, stack: contextlib.AsyncExitStack, request: LeaseRequest) -> Lease:
        """Enter the lease of the first model that can be had; `stack` ends it."""
        failed: dict[str, str] = {}
        last: MotetError | None = None
        while True:
            resolved = await self._resolve(request, failed, last)
            spec = resolved.model
            request.notify(phase="chosen", **resolved.as_dict())
            priority = spec.priority if request.priority is None else request.priority
            wait_s = WAIT_S if request.wait_s is None else request.wait_s
            held = self._executor.hold(spec, request.tenant, priority, wait_s, request.listener)
            try:
                loaded = await stack.enter_async_context(held)
            except (Unavailable, NotFound, TimedOut) as error:
                if resolved.role is None or error.code in NOT_PASSED_OVER:
                    raise
                failed[spec.name], last = Reason.of(error), error
                continue
            request.notify(phase="ready", model=spec.name)
            return Lease(resolved, loaded.capability)

    async def _resolve(
        self, request: LeaseRequest, failed: dict[str, str], last: MotetError | None
    ) -> ResolvedModel:
        """Return the next model to try, without those that failed."""
        try:
            resolved = await self._resolver.resolve(request.name, request.task, failed)
        except Unavailable as error:
            # Where a role has but one model, its own error says it best.
            if last and len(error.details.get("passed_over", ())) == 1:
                raise last from error
            raise
        spec = resolved.model
        if resolved.role is None and spec.name not in self._executor.scheduler.slots:
            # Nobody asked its back end yet, which can only estimate what it has looked at.
            await (await self._drivers.open(spec.backend)).available(spec)
        return resolved

    async def _relieve(
        self, request: LeaseRequest, lease: Lease, error: MotetError, last: bool
    ) -> MotetError:
        """Make room beside a leased model that ran out of memory, unless this was the `last` try.

        Returns the error, saying what was done.
        """
        name = lease.model.name
        if not last:
            unloaded = await self._executor.make_room(lease.model)
            request.notify(phase="out_of_memory", model=name, unloaded=unloaded)
        done = "Idle models beside it were unloaded, and it was tried again. " if last else ""
        return Unavailable(
            f"{error.message} {done}Ask it for less at once, or use a smaller model.",
            code=error.code,
            details={**error.details, "model": name},
        )
