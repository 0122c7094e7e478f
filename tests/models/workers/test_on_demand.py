"""A worker on demand is there when it is needed, and only then."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.errors import Invalid, TimedOut, Unavailable
from models.workers.confinement import PARSING
from models.workers.on_demand import IDLE_S, OnDemandWorker

TARGET = "tests.support.worker_handler:Recorder"
BOUND_S = 120.0

Opened = Callable[..., OnDemandWorker]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with AsyncExitStack() as stack:

        def open_worker(idle_s: float = IDLE_S, **options: Any) -> OnDemandWorker:
            confinement = replace(PARSING, writable=(str(tmp_path),))
            worker = OnDemandWorker(
                TARGET, name="test", options=options, idle_s=idle_s, confinement=confinement
            )
            stack.push_async_callback(worker.close)
            return worker

        yield open_worker


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


async def echo(worker: OnDemandWorker, timeout_s: float = BOUND_S) -> bytes:
    return (await worker.call("echo", {}, b"same", timeout_s=timeout_s)).body


async def test_nothing_runs_until_the_first_call_and_nothing_after_closing(opened: Opened) -> None:
    before = children()
    worker = opened()
    assert children() == before
    assert await echo(worker) == b"same"
    (pid,) = children() - before
    assert await echo(worker) == b"same"
    assert children() - before == {pid}
    await worker.close()
    assert children() == before
    with pytest.raises(Unavailable) as caught:
        await echo(worker)
    assert caught.value.code == "shutting_down"


async def test_an_idle_worker_is_ended_and_started_again_when_wanted(opened: Opened) -> None:
    worker = opened(idle_s=0.0)
    assert await echo(worker) == b"same"
    assert worker._worker
    async with asyncio.timeout(BOUND_S):
        await worker._worker.exited
    assert await echo(worker) == b"same"


async def test_a_call_that_takes_too_long_costs_itself_alone(opened: Opened) -> None:
    worker = opened()
    await echo(worker)
    hung = asyncio.create_task(worker.call("hang", {}, timeout_s=0.2))
    waiting = asyncio.create_task(echo(worker))
    with pytest.raises(TimedOut):
        await hung
    assert await waiting == b"same"


async def test_a_cancelled_call_is_ended_and_does_not_hold_up_the_next(opened: Opened) -> None:
    worker = opened()
    await echo(worker)
    hung = asyncio.create_task(worker.call("hang", {}, timeout_s=BOUND_S))
    await asyncio.sleep(0)
    hung.cancel()
    await asyncio.wait([hung], timeout=BOUND_S)
    assert hung.cancelled()
    assert await echo(worker) == b"same"


async def test_a_worker_that_was_killed_is_started_again(opened: Opened) -> None:
    worker = opened()
    await echo(worker)
    assert worker._worker
    os.kill(worker._worker.pid, signal.SIGKILL)
    await worker._worker.exited
    assert await echo(worker) == b"same"


async def test_worker_killed_while_it_starts_fails_no_call_that_waits(
    opened: Opened, tmp_path: Path
) -> None:
    markers = [str(tmp_path / name) for name in ("first", "second")]
    worker = opened(killed_once_at=markers)

    assert await asyncio.gather(*[echo(worker) for _ in range(8)]) == [b"same"] * 8


async def test_call_whose_worker_is_killed_is_made_again(opened: Opened, tmp_path: Path) -> None:
    marker = {"marker": str(tmp_path / "killed")}

    answer = await opened().call("killed_once", marker, b"same", timeout_s=BOUND_S)

    assert answer.body == b"same"


async def test_call_that_kills_each_worker_fails_after_the_second(opened: Opened) -> None:
    worker = opened()

    with pytest.raises(Unavailable, match="SIGABRT"):
        await worker.call("crash", {}, timeout_s=BOUND_S)

    assert await echo(worker) == b"same"


async def test_worker_that_dies_at_each_start_is_not_blamed_on_the_call(opened: Opened) -> None:
    with pytest.raises(Unavailable, match="exit status 7") as caught:
        await echo(opened(exit="yes"))

    assert caught.value.code == "worker_start_failed"


async def test_a_refusal_leaves_the_worker_running(opened: Opened) -> None:
    before = children()
    worker = opened()
    with pytest.raises(Invalid, match="No such voice"):
        await worker.call("refuse", {}, timeout_s=BOUND_S)
    pids = children() - before
    await echo(worker)
    assert children() - before == pids


async def test_closing_fails_the_call_in_progress(opened: Opened) -> None:
    worker = opened()
    await echo(worker)
    hung = asyncio.create_task(worker.call("hang", {}, timeout_s=BOUND_S))
    await asyncio.sleep(0)
    await worker.close()
    with pytest.raises(Unavailable):
        await hung
