"""The default executor of the service's event loop, where users have threads apart.

What code of users hands to the loop's executor, by `asyncio.to_thread` or through a library, shares
no thread with what the service hands to it: one that hangs holds up no artifact and no picture.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from tools.user_code.guard import IN_USER_CODE, call_guarded

Result = TypeVar("Result")

SERVICE_THREAD_NAME = "service"
SERVICE_THREADS = 32
"""Threads of the service: a slow disk or resolver must not hold up all else on a small machine."""
USER_THREADS = 32
"""Threads of all that users hand to the loop's executor."""


class PartedExecutor(ThreadPoolExecutor):
    """A pool for the service and one for its users, told apart by who submits."""

    def __init__(self, user_threads: int = USER_THREADS) -> None:
        super().__init__(SERVICE_THREADS, thread_name_prefix=SERVICE_THREAD_NAME)
        self._users = ThreadPoolExecutor(user_threads, thread_name_prefix="user code")
        self._at_work: set[Future[Any]] = set()

    @property
    def runs_user_code(self) -> bool:
        """Whether a function of users is at work or waits."""
        return any(not future.done() for future in tuple(self._at_work))

    def submit(self, fn: Callable[..., Result], /, *args: Any, **named: Any) -> Future[Result]:
        """Run a function in a thread of the service, or of users where they submit it."""
        if IN_USER_CODE.get():
            future = self._users.submit(call_guarded, partial(fn, *args, **named))
            self._at_work.add(future)
            future.add_done_callback(self._at_work.discard)
            return future
        return super().submit(fn, *args, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the work of the service, but not for that of users."""
        self._users.shutdown(wait=False, cancel_futures=True)
        super().shutdown(wait, cancel_futures=cancel_futures)
