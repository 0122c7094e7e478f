"""What runs held in memory goes when they end, not when the garbage collector comes by."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from runs.execution import Execution
from runs.record import RunRequest
from runs.run_log import RunLog
from tests.support.runs.engines import EngineFactory, ended
from tests.support.tenants import TENANT

RUNS = 5


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def kept() -> list[Execution | RunLog]:
    return [each for each in gc.get_objects() if type(each) in (Execution, RunLog)]


@pytest.mark.usefixtures("no_collector")
async def test_ended_run_leaves_nothing_to_the_garbage_collector(process: EngineFactory) -> None:
    # Of tests before something may be left, as in the traceback of one that failed.
    before = kept()
    async with process.engine() as engine:
        for number in range(RUNS):
            request = RunRequest(agent="three", input={"x": number}, tenant=TENANT)
            run = await engine.submit(request)
            await ended(engine, run.run_id)
            await engine.wait_ended(run.run_id, tenant=TENANT)
            del run

        assert [each for each in kept() if not any(each is other for other in before)] == []
