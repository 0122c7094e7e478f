"""The loop of the server goes on whatever tasks and callbacks of users do to it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from server.event_loop import run_to_end


def leave() -> None:
    sys.exit(3)


async def leave_async() -> None:
    raise SystemExit(4)


async def by_task() -> str:
    task = asyncio.create_task(leave_async())
    await asyncio.wait([task])
    return type(task.exception()).__name__


async def by_callback() -> str:
    loop = asyncio.get_running_loop()
    after = loop.create_future()
    loop.call_soon(leave)
    loop.call_soon(after.set_result, "SystemExit")
    return str(await after)


async def by_thread() -> str:
    future = asyncio.get_running_loop().run_in_executor(None, leave)
    try:
        await future
    except SystemExit as error:
        return type(error).__name__
    return ""


async def by_stop() -> str:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    return "SystemExit"


@pytest.mark.parametrize("way", [by_task, by_callback, by_thread, by_stop])
def test_an_exit_in_the_loop_does_not_end_it(way, caplog: pytest.LogCaptureFixture) -> None:
    assert run_to_end(way()) == "SystemExit"


def test_the_exit_of_the_work_itself_is_its_end() -> None:
    with pytest.raises(SystemExit):
        run_to_end(leave_async())


def test_the_error_of_the_work_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_to_end(fail())


@pytest.fixture
def terminal() -> Iterator[None]:
    """Take interrupts as a process in the foreground does; a background job ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("terminal")
def test_an_interrupt_from_the_terminal_cancels_the_work() -> None:
    ended = threading.Event()

    async def work() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        run_to_end(work())
    assert ended.is_set()
