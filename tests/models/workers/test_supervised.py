"""A supervised worker comes back after it died."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import TimedOut, Unavailable
from models.workers.process import WorkerProcess
from models.workers.supervised import SupervisedWorker

TARGET = "tests.support.worker_handler:Recorder"
BOUND_S = 120.0


class Starts:
    """Starts workers; `options` may change between starts."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.count = 0

    async def __call__(self) -> WorkerProcess:
        self.count += 1
        return await WorkerProcess.start(TARGET, name="test", options=self.options)


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
async def supervised(starts: Starts) -> AsyncIterator[SupervisedWorker]:
    supervised = await SupervisedWorker.open(starts)
    yield supervised
    await supervised.stop(grace_s=0)


async def call(supervised: SupervisedWorker, method: str, **options: Any) -> dict[str, Any]:
    options = {"timeout_s": BOUND_S, "repeatable": True, **options}
    return (await supervised.call(method, {"method": method}, **options)).header


async def test_calls_in_flight_when_the_worker_is_killed_are_made_again(
    supervised: SupervisedWorker, starts: Starts
) -> None:
    os.kill(supervised.worker.pid, signal.SIGSTOP)  # it answers none of them before it is killed
    waiting = [asyncio.create_task(call(supervised, "echo")) for _ in range(5)]
    await asyncio.sleep(0)
    os.kill(supervised.worker.pid, signal.SIGKILL)
    assert await asyncio.gather(*waiting) == [{"method": "echo"}] * 5
    assert starts.count == 2


async def test_a_call_that_kills_its_worker_is_made_twice_and_no_more(
    supervised: SupervisedWorker, starts: Starts
) -> None:
    with pytest.raises(Unavailable, match="SIGABRT"):
        await call(supervised, "crash")
    assert starts.count == 2
    assert await call(supervised, "echo") == {"method": "echo"}
    assert starts.count == 3


async def test_a_call_that_must_not_be_repeated_fails(
    supervised: SupervisedWorker, starts: Starts
) -> None:
    with pytest.raises(Unavailable, match="SIGABRT"):
        await call(supervised, "crash", repeatable=False)
    assert starts.count == 1


async def test_a_worker_that_does_not_answer_in_time_is_replaced(
    supervised: SupervisedWorker, starts: Starts
) -> None:
    with pytest.raises(TimedOut):
        await call(supervised, "hang", timeout_s=0.1)
    assert await call(supervised, "echo") == {"method": "echo"}
    assert starts.count == 2


async def test_a_worker_that_cannot_be_started_again_is_lost(
    supervised: SupervisedWorker, starts: Starts
) -> None:
    starts.options = {"fail": True}
    supervised.worker.kill()
    await asyncio.wait([supervised.worker.exited], timeout=BOUND_S)
    calls = [asyncio.create_task(call(supervised, "echo")) for _ in range(3)]
    await asyncio.wait(calls, timeout=BOUND_S)
    assert {str(task.exception()) for task in calls} == {"The model file is broken."}
    assert starts.count == 2
    assert supervised.lost.result() == "The model file is broken."


async def test_restart_that_is_killed_is_made_again_for_all_who_wait(
    supervised: SupervisedWorker, starts: Starts, tmp_path: Path
) -> None:
    starts.options = {"killed_once_at": [str(tmp_path / name) for name in ("first", "second")]}
    supervised.worker.kill()
    await asyncio.wait([supervised.worker.exited], timeout=BOUND_S)

    calls = [call(supervised, "echo") for _ in range(8)]

    assert await asyncio.gather(*calls) == [{"method": "echo"}] * 8
    assert starts.count == 4
    assert not supervised.lost.done()


async def test_a_caller_who_gives_up_does_not_stop_the_restart(
    supervised: SupervisedWorker, starts: Starts
) -> None:
    supervised.worker.kill()
    await asyncio.wait([supervised.worker.exited], timeout=BOUND_S)
    first, second = (asyncio.create_task(call(supervised, "echo")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {"method": "echo"}
    assert starts.count == 2
