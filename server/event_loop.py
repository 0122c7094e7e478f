"""The event loop of a command or server, which code of users cannot end.

Users' tools and nodes run in this loop, with tasks and callbacks of their own. An exit that one of
these raises leaves the loop; the loop is then run on, for all others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

from tools.user_code.executor import SERVICE_THREAD_NAME
from tools.user_code.guard import describe
from tools.user_code.threads import THREAD_NAME

log = logging.getLogger(__name__)

Result = TypeVar("Result")

END_S = 5.0
"""Tasks that are left when the work has ended have so long to end."""
THREADS_END_S = 1.0
"""So have threads, before the process ends without them."""
SERVICE_THREADS_END_S = 10.0
"""Those of the service end by themselves, on a busy machine or a slow disk later."""


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Run the work in an event loop of its own until it has ended.

    The first interrupt from the terminal cancels it, which raises `KeyboardInterrupt`; the second
    ends the process.
    """
    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(work, name="main")
        with _interrupts(task) as interrupted:
            try:
                return _run_until_done(loop, task)
            except asyncio.CancelledError as error:
                if interrupted.is_set():
                    raise KeyboardInterrupt from error
                raise
    finally:
        _close(loop)


def end_despite_threads(status: int) -> None:
    """End the process at once if a thread would keep it or runs code of users; else return."""
    began_s = time.monotonic()
    left = [thread for thread in threading.enumerate() if _may_stay(thread)]
    for thread in left:
        thread.join(max(0.0, began_s + _end_s(thread) - time.monotonic()))
    if names := sorted(thread.name for thread in left if thread.is_alive()):
        log.warning("ended although there was work in threads: %s", ", ".join(names))
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _end_s(thread: threading.Thread) -> float:
    ours = thread.name.startswith(SERVICE_THREAD_NAME)
    return SERVICE_THREADS_END_S if ours else THREADS_END_S


def _may_stay(thread: threading.Thread) -> bool:
    if thread is threading.current_thread():
        return False
    return not thread.daemon or thread.name.startswith(THREAD_NAME)


def _run_until_done(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Result]) -> Result:
    while True:
        try:
            return loop.run_until_complete(task)
        except BaseException as error:
            if task.done() or loop.is_closed():
                raise
            log.error("code of users tried to end the process: %s", describe(error))


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left in a loop, and close it; what ignores that is left behind."""
    try:
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            _run_until_done(loop, loop.create_task(_wait(left)))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _wait(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks, timeout=END_S)


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
