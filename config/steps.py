"""Bounds on work that callers' values ask for: counted in steps, so that it ends on any machine.

Owns the counter that checks of schemas and templates spend from, and the way of long work out of
the event loop. What a step is, each kind of work defines. Invariant: work on the loop is short, and
at most `MAX_THREADS` of the rest competes with the loop for the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

MAX_THREADS = 1
"""More would not be done sooner, for one thread at a time has the interpreter; the loop would wait
for each of them."""

Result = TypeVar("Result")


class TooManySteps(Exception):
    """The work has used up its steps."""


@dataclass
class Steps:
    """The steps that a piece of work may still take."""

    left: int
    is_final: bool = True
    """What takes more is refused; otherwise it is begun anew with more steps, elsewhere."""

    def spend(self, count: int) -> None:
        """Take steps away. Raises `TooManySteps` when there are none left."""
        self.left -= count
        if self.left < 0:
            raise TooManySteps


STEPS: ContextVar[Steps] = ContextVar("steps of the work under way")
_THREADS: RunVar[CapacityLimiter] = RunVar("threads for counted work")


def spend(count: int) -> None:
    """Count work that begins now, if anybody counts. Raises `TooManySteps`."""
    steps = STEPS.get(None)
    if steps is not None:
        steps.spend(count)


@contextmanager
def counting(steps: int, *, is_final: bool = True) -> Iterator[Steps]:
    """Let the work within the block take so many steps."""
    counter = Steps(steps, is_final)
    token = STEPS.set(counter)
    try:
        yield counter
    finally:
        STEPS.reset(token)


async def run_counted(work: Callable[[], Result], on_loop: int, at_most: int) -> Result:
    """Run work that counts its steps: on the loop if it is short, otherwise anew in a thread.

    The work must be repeatable. Raises `TooManySteps`, unless the work turns that into another
    error where the steps are final. Cancellation waits for the thread, whose work is bounded.
    """
    try:
        with counting(on_loop, is_final=False):
            return work()
    except TooManySteps:
        return await to_thread.run_sync(_run_final, work, at_most, limiter=_limiter())


def _run_final(work: Callable[[], Result], steps: int) -> Result:
    with counting(steps):
        return work()


def _limiter() -> CapacityLimiter:
    try:
        return _THREADS.get()
    except LookupError:
        limiter = CapacityLimiter(MAX_THREADS)
        _THREADS.set(limiter)
        return limiter
