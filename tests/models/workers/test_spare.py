"""A spare process becomes the next worker, and never costs one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest

from config.errors import Invalid
from models.workers.prewarmed import PrewarmedWorkers

BOUND_S = 120.0
ECHO = "tests.support.worker_handler:Recorder"


@pytest.fixture
async def workers() -> AsyncIterator[PrewarmedWorkers]:
    opened = PrewarmedWorkers()
    yield opened
    await opened.close()


async def wait_collected(pid: int) -> None:
    """Wait until the event loop has collected a child's status.

    Not with psutil: it may collect the status before uvloop can, whose `Process.wait` then never
    returns.
    """
    async with asyncio.timeout(BOUND_S):
        while psutil.pid_exists(pid):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_the_next_worker_is_the_process_that_waited(workers: PrewarmedWorkers) -> None:
    first = await workers.start(ECHO, name="first", options={})
    waiting = await workers.spare_pid()
    second = await workers.start(ECHO, name="second", options={})
    try:
        assert waiting == second.pid != first.pid
        assert (await second.call("echo", {"a": 1}, timeout_s=BOUND_S)).header == {"a": 1}
    finally:
        await first.stop()
        await second.stop()


async def test_a_spare_that_died_is_not_used(workers: PrewarmedWorkers) -> None:
    first = await workers.start(ECHO, name="first", options={})
    waiting = await workers.spare_pid()
    assert waiting
    os.kill(waiting, signal.SIGKILL)
    await wait_collected(waiting)

    second = await workers.start(ECHO, name="second", options={})
    assert second.pid != waiting
    await first.stop()
    await second.stop()


async def test_spare_ends_after_its_idle_time() -> None:
    workers = PrewarmedWorkers(idle_s=0.01)
    worker = await workers.start(ECHO, name="only", options={})
    waiting = await workers.spare_pid()
    if waiting:
        await wait_collected(waiting)
    assert await workers.spare_pid() is None
    await worker.stop()
    await workers.close()


async def test_closing_ends_the_spare(workers: PrewarmedWorkers) -> None:
    worker = await workers.start(ECHO, name="only", options={})
    waiting = await workers.spare_pid()
    assert waiting
    await workers.close()
    assert not psutil.pid_exists(waiting)
    await worker.stop()


async def test_a_handler_that_cannot_be_built_says_so_from_a_spare_too(
    workers: PrewarmedWorkers,
) -> None:
    first = await workers.start(ECHO, name="first", options={})
    await workers.spare_pid()
    with pytest.raises(Invalid) as caught:
        await workers.start(ECHO, name="second", options={"fail": True})
    assert caught.value.code == "broken_file"
    await first.stop()


async def test_without_a_spare_workers_start_all_the_same() -> None:
    workers = PrewarmedWorkers(spare=False)
    worker = await workers.start(ECHO, name="only", options={})
    assert await workers.spare_pid() is None
    await worker.stop()
    await workers.close()
