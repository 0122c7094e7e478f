"""Threads for plain functions of users, apart from those of the service.

Owns how many calls of a function run at once, who waits for a thread, and what becomes of a call
that nobody waits for any more: a thread cannot be ended, so its call holds it until it returns.

Invariants: calls that were given up count among a function's calls, which bounds their number; no
thread of users keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from config.errors import Busy
from tools.user_code.ending import outlast_s
from tools.user_code.guard import IN_USER_CODE, call_guarded
from tools.user_code.shield import SHIELD
from tools.user_code.time_limit import is_limit_expired, limits_paused

log = logging.getLogger(__name__)

Result = TypeVar("Result")

THREAD_NAME = "user code"
"""How the names of threads begin that run functions of users."""
PER_FUNCTION = 4
"""Calls of one function at once: one that hangs occupies its threads alone."""
TOTAL = 64
"""Calls of all functions at once."""
MAX_WAIT_S = 300.0
"""A call waits so long for a thread."""
MAX_WAIT_BEHIND_ABANDONED_S = 10.0
"""A call waits so long where every thread of its function is held by calls that were given up."""


def _ignore() -> None:
    """Do nothing: nobody listens."""


@dataclass(eq=False)
class Call(Generic[Result]):
    """A call of a function in its thread."""

    name: str
    result: asyncio.Future[Result]
    started_s: float = field(default_factory=time.monotonic)
    abandoned: bool = False
    """Nobody waits for it any more."""

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started_s


class UserThreads:
    """Runs plain functions in threads. Belongs to one event loop."""

    def __init__(self, per_function: int = PER_FUNCTION, total: int = TOTAL) -> None:
        self._per_function = per_function
        self._total = asyncio.Semaphore(total)
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._calls: set[Call[Any]] = set()

    @property
    def calls(self) -> list[Call[Any]]:
        """The calls at work, oldest first."""
        return sorted(self._calls, key=lambda call: call.started_s)

    async def call(
        self,
        name: str,
        function: Callable[[], Result],
        on_wait: Callable[[], None] = _ignore,
        on_abandon: Callable[[], None] = _ignore,
    ) -> Result:
        """Call a function in a thread, in the context of the caller. Raises what it raises.

        While it waits for a thread the limits on its time stand still, and `on_wait` was called.
        When cancelled, a call that has begun is waited for, for a bounded time, and its result
        returned after all; one that takes longer, or whose time is up, is abandoned: `on_abandon`
        is called, and the function runs on. Raises `Busy` (`user_code_busy`).
        """
        await self._wait_turn(name, on_wait)
        if shield := SHIELD.get():
            shield.begun = True
        call: Call[Result] = Call(name, asyncio.get_running_loop().create_future())
        self._start(call, function)
        try:
            return await asyncio.shield(call.result)
        except asyncio.CancelledError:
            if await _outlast(call):
                return call.result.result()
            call.abandoned = True
            log.warning("%s runs on in its thread: nobody waits for it any more", name)
            on_abandon()
            raise

    async def _wait_turn(self, name: str, on_wait: Callable[[], None]) -> None:
        turns = self._turns.setdefault(name, asyncio.Semaphore(self._per_function))
        if not turns.locked() and not self._total.locked():
            await self._acquire(turns)
            return
        on_wait()
        log.info("%s waits for one of its %d threads", name, self._per_function)
        turn = asyncio.ensure_future(self._acquire(turns))
        since_s = time.monotonic()
        try:
            with limits_paused():
                while not turn.done():
                    await asyncio.wait([turn], timeout=MAX_WAIT_BEHIND_ABANDONED_S)
                    if not turn.done():
                        self._check_wait(name, time.monotonic() - since_s)
        except BaseException:
            # A turn that came in the very moment of the cancellation is given back.
            if not turn.cancel() and not turn.cancelled():
                self._release(turns)
            raise

    async def _acquire(self, turns: asyncio.Semaphore) -> None:
        await turns.acquire()
        try:
            await self._total.acquire()
        except BaseException:
            turns.release()
            raise

    def _release(self, turns: asyncio.Semaphore) -> None:
        self._total.release()
        turns.release()

    def _check_wait(self, name: str, waited_s: float) -> None:
        """Raise `Busy` (`user_code_busy`) for a call that has waited long enough."""
        abandoned = [call for call in self._calls if call.abandoned and call.name == name]
        if len(abandoned) >= self._per_function:
            longest_s = max(call.age_s for call in abandoned)
            raise _busy(
                name,
                f"each of its {self._per_function} threads is held by a call that was given up and "
                f"runs on, the longest for {longest_s:.0f} s",
            )
        if waited_s >= MAX_WAIT_S:
            raise _busy(name, f"no thread was free for {waited_s:.0f} s")

    def _start(self, call: Call[Result], function: Callable[[], Result]) -> None:
        self._calls.add(call)
        loop = asyncio.get_running_loop()
        context = copy_context()
        context.run(IN_USER_CODE.set, True)

        def work() -> None:
            result: Any = None
            failure: Exception | None = None
            try:
                result = context.run(call_guarded, function)
            except Exception as error:
                failure = error
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(self._end, call, result, failure)

        # Daemons: a function that never returns must not keep the process from ending.
        name = f"{THREAD_NAME}: {call.name}"
        thread = threading.Thread(target=work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._calls.discard(call)
            self._release(self._turns[call.name])
            raise _busy(call.name, str(error)) from error

    def _end(self, call: Call[Any], result: Any, error: Exception | None) -> None:
        self._calls.discard(call)
        self._release(self._turns[call.name])
        if call.abandoned:
            log.warning("%s, which ran on, has ended after %.1f s", call.name, call.age_s)
        if call.result.cancelled():
            return
        if error is None:
            call.result.set_result(result)
            return
        call.result.set_exception(error)
        call.result.exception()  # read: nobody may wait for it any more


async def _outlast(call: Call[Any]) -> bool:
    """Wait for a call although the caller is cancelled; return whether it has ended."""
    since_s = time.monotonic()
    shield = SHIELD.get()
    while not (call.result.done() or is_limit_expired() or (shield and shield.dropped)):
        left_s = since_s + outlast_s() - time.monotonic()
        if left_s <= 0:
            break
        # Cancellations may come more than once; each breaks into the wait.
        with suppress(asyncio.CancelledError):
            await asyncio.wait([call.result], timeout=left_s)
    return call.result.done() and not call.result.cancelled()


def _busy(name: str, why: str) -> Busy:
    return Busy(f"{name} cannot be called now: {why}.", code="user_code_busy", retry_after_s=5)
