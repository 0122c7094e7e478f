"""Steps whose function, once begun, ends: what follows from its result is not cut off from it.

Invariant: of a function that was called, either the whole step is done, or its time was up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from tools.user_code.ending import outlast_s
from tools.user_code.time_limit import is_limit_expired

Result = TypeVar("Result")


@dataclass(eq=False)
class Shield:
    """What a step and the function that it calls know of each other."""

    begun: bool = False
    """The function is in its thread, or has been."""
    dropped: bool = False
    """The step is not waited for any longer."""


SHIELD: ContextVar[Shield | None] = ContextVar("shield", default=None)
"""The shield of the step that runs now, if it has one."""


async def finish_begun(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run the work of a step, and when cancelled finish it if its function has begun.

    It is then waited for, for a bounded time, and its result returned; else it is cancelled.
    """
    shield = Shield()
    token = SHIELD.set(shield)
    task = asyncio.create_task(work())
    SHIELD.reset(token)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await _finish(task, shield)
        if task.cancelled() or task.exception():
            raise
    return task.result()


async def _finish(task: asyncio.Task[Any], shield: Shield) -> None:
    since_s = time.monotonic()
    while not task.done():
        left_s = since_s + outlast_s() - time.monotonic()
        if not shield.begun or left_s <= 0 or is_limit_expired():
            shield.dropped = True
            task.cancel()
        # Cancellations may come more than once; each breaks into the wait, and none ends it.
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task], timeout=None if shield.dropped else left_s)
