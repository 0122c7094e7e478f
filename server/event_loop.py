"""The event loop of a command or server, which code of users cannot end.

Users' tools and nodes run in this loop, with tasks and callbacks of their own. An exit that one of
these raises leaves the loop; the loop is then run on, for all others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from tools.user_code.guard import describe

log = logging.getLogger(__name__)

Result = TypeVar("Result")


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Run the work in an event loop of its own until it has ended.

    The first interrupt from the terminal cancels it, which raises `KeyboardInterrupt`; the second
    ends the process.
    """
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        task = loop.create_task(work, name="main")
        with _interrupts(task) as interrupted:
            while True:
                try:
                    return loop.run_until_complete(task)
                except BaseException as error:
                    if not task.done() and not loop.is_closed():
                        log.error("code of users tried to end the process: %s", describe(error))
                        continue
                    if interrupted.is_set() and isinstance(error, asyncio.CancelledError):
                        raise KeyboardInterrupt from error
                    raise


@contextmanager
def _interrupts(task: asyncio.Task[Any]) -> Iterator[asyncio.Event]:
    """Cancel the task at the first interrupt from the terminal; the event tells of it."""
    interrupted = asyncio.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            os._exit(128 + number)
        interrupted.set()
        task.get_loop().call_soon_threadsafe(task.cancel)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupted  # whoever started us has other plans
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
