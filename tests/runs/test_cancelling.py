"""Runs of agents out of YAML that are cancelled: what they asked for ends, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from config.errors import Conflict, NotFound
from runs.abandoned_steps import ignore_abandoned_steps
from runs.engine import RunEngine
from runs.events import Batch
from runs.execution import Execution
from runs.record import MultitaskStrategy, RunRequest
from runs.run_log import RunLog
from tests.support.ollama import Ollama
from tests.support.runs.cases import CASES
from tests.support.runs.processes import Deployment, EngineProcess
from tests.support.runs.recording import answer_to
from tests.support.script import Gate
from tests.support.tenants import TENANT

RUNS = 300
SPOKEN = {
    "tale": "after",
    "kept": "Choose",
    "fork": "right of",
    "each": "item d",
    "helper": "answer",
    "nested": "proposal",
}
"""Agents, and a word of a prompt whose answer is cut off."""


@pytest.fixture
def world(ollama: Ollama) -> Iterator[Deployment]:
    return Deployment(ollama)


@pytest.mark.parametrize("agent", SPOKEN)
async def test_a_cancelled_run_ends_its_request_to_the_model(
    world: Deployment, tmp_path: Path, gate: Gate, agent: str
) -> None:
    world.voice.gates[SPOKEN[agent]] = gate
    async with world.start_process(tmp_path) as process:
        run = await process.engine.submit(
            RunRequest(agent=agent, input=CASES[agent][0], tenant=TENANT)
        )
        await gate.reached.wait()
        assert (await process.engine.cancel(run.run_id, tenant=TENANT)).status == "cancelled"
        assert idle(process)
        await gate.abandoned.wait()


async def test_after_many_runs_ended_in_every_way_nothing_is_left(
    world: Deployment, tmp_path: Path
) -> None:
    # What a failure of an earlier test keeps alive, by its traceback, is none of these runs.
    earlier = executions_and_logs()
    with ignore_abandoned_steps():
        await end_in_every_way(world, tmp_path, random.Random(1))
        gc.collect()
    assert not [each for each in executions_and_logs() if not contains(earlier, each)]


def contains(objects: list[Any], one: Any) -> bool:
    return any(each is one for each in objects)


def executions_and_logs() -> list[Any]:
    return [each for each in gc.get_objects() if type(each) in (Execution, RunLog)]


async def end_in_every_way(world: Deployment, tmp_path: Path, chance: random.Random) -> None:
    """Let many runs end as chance will; in the end nothing works for any of them."""
    async with world.start_process(tmp_path, max_active=16) as process:
        before = asyncio.all_tasks()
        runs = [one(process.engine, chance, number) for number in range(RUNS)]
        ends = Counter(await asyncio.wait_for(asyncio.gather(*runs), 120))
        assert {"finished", "failed", "cancelled", "waiting", "refused", "gone"} <= set(ends), ends
        assert idle(process)
        # The watch of Ollama's connection is the driver's: it stays as long as the models are open.
        left = {t for t in asyncio.all_tasks() - before if t.get_name() != "ollama: connection"}
        if left:
            _, left = await asyncio.wait(left, timeout=120)
        assert not left


async def one(engine: RunEngine, chance: random.Random, number: int) -> str:
    """A run that is left alone, cancelled, superseded or left by its reader, as chance will."""
    agent = chance.choice(list(CASES))
    strategies: list[MultitaskStrategy] = ["enqueue", "interrupt", "rollback", "reject"]
    request = RunRequest(
        agent=agent,
        input=CASES[agent][0],
        thread_id=f"{agent} {number % 3}" if number % 2 else None,
        create_thread=True,
        multitask=chance.choice(strategies),
        tenant=TENANT,
    )
    end = chance.choice(["follow", "follow", "leave", "cancel", "cancel twice"])
    try:
        run = await engine.submit(request)
        await read(engine, run.run_id, chance.randint(1, 40))
        if end == "cancel":
            await engine.cancel(run.run_id, tenant=TENANT)
        elif end == "cancel twice":
            both = [
                engine.cancel(run.run_id, tenant=TENANT),
                engine.cancel(run.run_id, tenant=TENANT),
            ]
            await asyncio.gather(*both, return_exceptions=True)
        while (
            now := await engine.wait_ended(run.run_id, tenant=TENANT)
        ).status == "waiting" and end == "follow":
            first = now.interrupts[0]
            await engine.resume(run.run_id, {first["id"]: answer_to(first["value"])}, tenant=TENANT)
        return now.status
    except Conflict:
        return "refused"
    except NotFound:
        return "gone"


async def read(engine: RunEngine, run_id: str, events: int) -> None:
    """Read some events and leave."""
    async with aclosing(
        cast("AsyncGenerator[Batch]", engine.follow(run_id, tenant=TENANT))
    ) as batches:
        async for batch in batches:
            if batch.last >= events:
                return


def idle(process: EngineProcess) -> bool:
    """Whether no run is under way, no turn or door taken, and no model leased."""
    engine = process.engine
    lines = {**engine._thread_locks._locks, **engine._executor._admission._threads._locks}
    leased = [each for each in process.models.status() if each.leases or each.waiting]
    return not (engine.active or lines or leased)
