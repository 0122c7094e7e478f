"""The border around code of users: whatever it raises leaves it as an ordinary exception.

Owns which exceptions may not pass. `SystemExit` and `KeyboardInterrupt` end an event loop,
`GeneratorExit` and groups that hold such ones pass by every handler of ours, a `CancelledError`
that nobody asked for looks like a cancelled run, and `StopIteration` never arrives at a future.

Invariant: a cancellation from outside passes; one that user code made up is an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

from tools.user_code.ending import CLEAN_UP_S, outlast_s

log = logging.getLogger(__name__)

Result = TypeVar("Result")

MAX_LEAVES = 5
"""Exceptions of a group that its message tells."""

IN_USER_CODE: ContextVar[bool] = ContextVar("in user code", default=False)
"""Whether what runs now was written by users."""


class UserCodeError(Exception):
    """User code raised what only the interpreter or an event loop may raise."""


def contain(error: BaseException) -> Exception:
    """Return the error where it can be raised and written down anywhere, else one that can."""
    if not isinstance(error, Exception) or isinstance(error, StopIteration | StopAsyncIteration):
        return UserCodeError(f"{describe(error)} (raise an ordinary exception instead)")
    return error if _is_readable(error) else UserCodeError(describe(error))


def describe(error: BaseException) -> str:
    """Write an exception's type and text, those of a group's members too."""
    if isinstance(error, UserCodeError):
        return str(error)
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        leaves = list(_leaves(error))
        texts = "; ".join(describe(leaf) for leaf in leaves[:MAX_LEAVES])
        more = f"; and {len(leaves) - MAX_LEAVES} more" if len(leaves) > MAX_LEAVES else ""
        return f"{name} of {texts}{more}"
    try:
        text = str(error)
    except BaseException as broken:
        return f"{name}, whose text cannot be read ({type(broken).__name__})"
    return f"{name}: {text}" if text else name


async def run_guarded(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine of users in a task of its own.

    Raises what it raises, contained. When cancelled, cancels it and waits for its end, for a
    bounded time: a result that it still gives is returned. One that ignores its cancellation is
    left behind, which the log tells.
    """

    async def run() -> Result:
        IN_USER_CODE.set(True)
        try:
            return await work()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            _raise_contained(error)

    # In a task of its own, user code that cancels its current task cancels nobody else, and a
    # cancellation from outside can be told from one that it made up.
    task = asyncio.create_task(run())
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        await _end(task)
        if not task.done() or task.cancelled() or task.exception():
            raise
        return task.result()
    try:
        return task.result()
    except asyncio.CancelledError as error:
        raise contain(error) from error


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended, for a bounded time."""
    task.cancel()
    loop = asyncio.get_running_loop()
    since_s = loop.time()
    # Cancellations may come more than once; each breaks into the wait, and none ends it.
    while not task.done() and (left_s := since_s + outlast_s() + CLEAN_UP_S - loop.time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task], timeout=left_s)
    if not task.done():
        log.warning("code of users ignores its cancellation and runs on: %r", task.get_coro())


@contextmanager
def user_code_left() -> Iterator[None]:
    """Run code of the service within that of users: what it hands to threads is the service's."""
    token = IN_USER_CODE.set(False)
    try:
        yield
    finally:
        IN_USER_CODE.reset(token)


def call_guarded(function: Callable[[], Result]) -> Result:
    """Call a function of users, here. Raises what it raises, contained."""
    try:
        return function()
    except BaseException as error:
        _raise_contained(error)


def _raise_contained(error: BaseException) -> NoReturn:
    contained = contain(error)
    if contained is error:
        raise error
    raise contained from error


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _is_readable(error: Exception) -> bool:
    """Return whether an exception can be logged and stored."""
    try:
        str(error), repr(error)
    except BaseException:
        return False
    return True
