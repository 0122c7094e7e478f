"""Runs that end the process: tried again a bounded number of times, and nobody else is blamed."""

from __future__ import annotations

import pytest

from runs.record import Run, RunRequest
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT

THREE = RunRequest(agent="three", input={"x": 0}, tenant=TENANT)


async def crash_inside(
    process: EngineFactory, gates: NodeGates, node: str, *requests: RunRequest, **more: int
) -> list[Run]:
    """Start a process, ask it for runs, and end it in the middle of a node."""
    gates.hold(node)
    async with process.engine(crash=True, **more) as engine:
        runs = [await engine.submit(request) for request in requests]
        await gates.arrival(node)
        for execution in engine._executor._executions.values():
            await execution.log.wait_flushed()
    gates.release(node)
    return runs


@pytest.mark.parametrize("bound", [1, 2, 3, 5])
async def test_a_run_that_ends_every_process_fails_at_the_bound(
    process: EngineFactory, gates: NodeGates, bound: int
) -> None:
    [run] = await crash_inside(process, gates, "a", THREE)
    for _ in range(bound - 1):
        await crash_inside(process, gates, "a", max_crashes=bound)
    async with process.engine(max_crashes=bound) as engine:
        failed = await ended(engine, run.run_id)
        events = await read_events(engine, run.run_id)

    assert failed.status == "failed"
    assert failed.error == {
        "code": "too_many_crashes",
        "family": "internal",
        "message": f"The process ended during {bound} attempts in a row at this run, so it is not "
        "tried again.",
        "details": {"attempts": bound},
    }
    assert gates.entered["a"] == bound
    assert events[-1]["type"] == "run.failed"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


async def test_a_clean_shutdown_does_not_count(process: EngineFactory, gates: NodeGates) -> None:
    gates.hold("a")
    async with process.engine() as engine:
        run = await engine.submit(THREE)
        await gates.arrival("a")
    for _ in range(5):
        gates.release("a")
        gates.hold("a")
        async with process.engine(max_crashes=2):
            await gates.arrival("a")
    gates.release("a")
    async with process.engine(max_crashes=2) as engine:
        assert (await ended(engine, run.run_id)).status == "finished"


async def test_attempts_that_finish_a_step_do_not_add_up(
    process: EngineFactory, gates: NodeGates
) -> None:
    [run] = await crash_inside(process, gates, "a", THREE)
    for node in ("b", "c"):
        await crash_inside(process, gates, node, max_crashes=2)
    async with process.engine(max_crashes=2) as engine:
        assert (await ended(engine, run.run_id)).output["log"] == ["a", "b", "c"]


async def test_a_run_that_waited_in_line_is_not_blamed(
    process: EngineFactory, gates: NodeGates
) -> None:
    talking = RunRequest(agent="talking", input={"x": 0}, tenant=TENANT)
    poison, innocent = await crash_inside(process, gates, "a", THREE, talking, max_active=1)
    for _ in range(2):
        await crash_inside(process, gates, "a", max_active=1, max_crashes=3)
    async with process.engine(max_active=1, max_crashes=3) as engine:
        assert (await ended(engine, poison.run_id)).status == "failed"
        assert (await ended(engine, innocent.run_id)).status == "finished"


async def test_of_runs_under_way_together_only_the_one_at_fault_fails(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("a")
    async with process.engine(crash=True) as engine:
        poison = await engine.submit(THREE)
        await gates.arrival("a")
        innocent = await engine.submit(
            RunRequest(agent="asking-twice", input={"x": 0}, tenant=TENANT)
        )
        assert (await ended(engine, innocent.run_id)).status == "waiting"
        beside = await engine.submit(THREE)
    gates.release("a")
    await crash_inside(process, gates, "a")
    entered = gates.entered["a"]
    await crash_inside(process, gates, "a")  # from here on one of the two is executed at a time
    assert gates.entered["a"] == entered + 1
    async with process.engine(max_crashes=3) as engine:
        assert (await ended(engine, poison.run_id)).status == "failed"
        assert (await ended(engine, beside.run_id)).status == "finished"
        assert engine.get(innocent.run_id, tenant=TENANT).status == "waiting"


async def test_at_the_smallest_bound_only_the_run_at_fault_fails(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("a")
    async with process.engine(crash=True) as engine:
        poison = await engine.submit(THREE)
        await gates.arrival("a")
        beside = await engine.submit(THREE)
        await gates.arrival("a")
    gates.release("a")
    await crash_inside(process, gates, "a", max_crashes=2)  # one of the two is executed
    async with process.engine(max_crashes=2) as engine:
        assert (await ended(engine, poison.run_id)).status == "failed"
        assert (await ended(engine, beside.run_id)).status == "finished"


async def test_an_answer_gives_a_run_its_attempts_anew(
    process: EngineFactory, gates: NodeGates
) -> None:
    async with process.engine(crash=True) as engine:
        run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
        assert (await ended(engine, run.run_id)).open_attempts == 0
        gates.hold("ask")
        await engine.resume(run.run_id, "yes", tenant=TENANT)
        await gates.arrival("ask")
    gates.release("ask")
    await crash_inside(process, gates, "ask")
    async with process.engine() as engine:
        assert (await ended(engine, run.run_id)).output["log"] == ["a", "answer:yes", "c"]
