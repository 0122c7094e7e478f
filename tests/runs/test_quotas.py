"""A tenant with many runs leaves room for those of others, in the queue and among the active."""

from __future__ import annotations

import asyncio

import pytest

from config.errors import Busy
from config.quotas import Quota
from runs.engine import RunEngine
from runs.record import Run, RunRequest
from tests.support.runs.engines import EngineFactory
from tests.support.runs.graphs import NodeGates

QUOTA = Quota("max_runs_per_tenant", 3, "runs", retry_after_s=2)


async def submit(engine: RunEngine, tenant: str, agent: str = "three") -> Run:
    return await engine.submit(RunRequest(agent=agent, tenant=tenant, input={"x": 0}))


async def finish(engine: RunEngine, run: Run) -> Run:
    return await asyncio.wait_for(engine.wait_ended(run.run_id, tenant=run.tenant), 240)


async def test_tenant_with_all_its_runs_is_refused_one_more_while_others_run(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("a")
    async with process.engine(quota=QUOTA) as engine:
        flood = [await submit(engine, "flood") for _ in range(3)]

        with pytest.raises(Busy) as caught:
            await submit(engine, "flood")
        other = await submit(engine, "other")
        gates.release("a")

        assert caught.value.code == "quota_exceeded"
        assert caught.value.details["setting"] == "max_runs_per_tenant"
        for run in (*flood, other):
            assert (await finish(engine, run)).status == "finished"
        assert (await finish(engine, await submit(engine, "flood"))).status == "finished"


async def test_an_answer_is_held_to_the_quota_too(process: EngineFactory, gates: NodeGates) -> None:
    async with process.engine(quota=QUOTA) as engine:
        asked = await finish(engine, await submit(engine, "flood", "asking"))
        gates.hold("a")
        for _ in range(3):
            await submit(engine, "flood")

        with pytest.raises(Busy):
            await engine.resume(asked.run_id, "yes", tenant="flood")
        gates.release("a")

        assert engine.get(asked.run_id, tenant="flood").status == "waiting"


async def test_tenant_with_all_its_active_runs_leaves_turns_to_others(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("a")
    async with process.engine(max_active=3, max_active_per_tenant=2) as engine:
        flood = [await submit(engine, "flood") for _ in range(5)]

        other = await submit(engine, "other", "asking-twice")

        assert (await finish(engine, other)).status == "waiting"
        assert gates.entered["a"] == 2
        gates.release("a")
        for run in flood:
            assert (await finish(engine, run)).status == "finished"


async def test_run_of_another_tenant_passes_the_queue_of_one_that_floods(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("a")
    async with process.engine(max_active=1) as engine:
        flood = [await submit(engine, "flood") for _ in range(4)]
        other = await submit(engine, "other")
        gates.release("a")

        await finish(engine, other)

        # The first of the flood, the other, and perhaps the next.
        assert gates.entered["a"] <= 3
        for run in flood:
            assert (await finish(engine, run)).status == "finished"
