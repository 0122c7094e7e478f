"""What a next process makes of the runs that the one before it left."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from config.errors import Unavailable
from runs.database import Statement
from runs.record import RunRequest
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT


@pytest.mark.parametrize("node", ["a", "b", "c"])
async def test_a_run_stopped_inside_a_step_continues_with_that_step(
    process: EngineFactory, gates: NodeGates, node: str
) -> None:
    gates.hold(node)
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        await gates.arrival(node)
    gates.release(node)
    async with process.engine() as engine:
        events = await read_events(engine, run.run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["data"]["output"] == {"x": 3, "log": ["a", "b", "c"]}
    attempts = [(e["node"], e["attempt"]) for e in events if e["type"] == "step.started"]
    again = [(name, attempt) for name, attempt in attempts if attempt > 1]
    assert again == [(node, 2)]
    assert {name: gates.entered[name] for name in "abc"} == {
        name: 2 if name == node else 1 for name in "abc"
    }


async def test_what_a_half_told_step_said_is_told_again_under_a_new_attempt(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("talk")
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="talking", input={"x": 0}, tenant=TENANT))
        await gates.arrival("talk")
    gates.release("talk")
    async with process.engine() as engine:
        events = await read_events(engine, run.run_id)
    words = [(e["attempt"], e["data"]["word"]) for e in events if e["type"] == "custom"]
    assert words == [(1, 1), (2, 1), (2, 2)]


async def test_runs_that_waited_in_line_are_run(process: EngineFactory, gates: NodeGates) -> None:
    gates.hold("a")
    thread = str(uuid4())
    async with process.engine(max_active=1) as engine:
        runs = [
            await engine.submit(
                RunRequest(
                    agent="three",
                    input={"x": 0},
                    thread_id=thread,
                    create_thread=True,
                    tenant=TENANT,
                )
            )
            for _ in range(3)
        ]
    gates.release("a")
    async with process.engine() as engine:
        outputs = [(await ended(engine, run.run_id)).output["log"] for run in runs]
        told_of = [event["type"] for event in await read_events(engine, runs[2].run_id)]
        assert told_of[:3] == ["run.queued", "run.started", "step.started"]
        assert engine.get(runs[2].run_id, tenant=TENANT).attempt == 1
    assert outputs == [["a", "b", "c"] * count for count in (1, 2, 3)]


async def test_a_waiting_run_is_answered_in_another_process(process: EngineFactory) -> None:
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
        await ended(engine, run.run_id)
    async with process.engine() as engine:
        await engine.resume(run.run_id, "tomorrow", tenant=TENANT)
        assert (await ended(engine, run.run_id)).output["log"] == ["a", "answer:tomorrow", "c"]


async def test_an_answer_given_just_before_the_end_of_a_process_is_not_lost(
    process: EngineFactory, gates: NodeGates
) -> None:
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
        await ended(engine, run.run_id)
        gates.hold("ask")
        await engine.resume(run.run_id, "yes", tenant=TENANT)
        await gates.arrival("ask")
    gates.release("ask")
    async with process.engine() as engine:
        assert (await ended(engine, run.run_id)).output["log"] == ["a", "answer:yes", "c"]


async def test_an_answer_is_not_given_to_the_next_question_of_the_same_step(
    process: EngineFactory, gates: NodeGates
) -> None:
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="asking-twice", input={"x": 0}, tenant=TENANT))
        await ended(engine, run.run_id)
        gates.hold("between")
        await engine.resume(run.run_id, "first", tenant=TENANT)
        await gates.arrival("between")
    gates.release("between")
    async with process.engine() as engine:
        waiting = await ended(engine, run.run_id)
        assert [each["value"] for each in waiting.interrupts] == [{"question": "two?"}]
        await engine.resume(run.run_id, "second", tenant=TENANT)
        assert (await ended(engine, run.run_id)).output["log"] == ["first", "second"]


async def test_a_run_whose_agent_is_gone_fails_with_a_reason(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("a")
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        await gates.arrival("a")
        lost = "UPDATE runs SET agent = 'gone', version = 'gone' WHERE run_id = ?"
        await process.database.write(Statement(lost, (run.run_id,)))
    async with process.engine() as engine:
        assert (engine.get(run.run_id, tenant=TENANT).error or {})[
            "code"
        ] == "agent_version_not_found"
        assert (await read_events(engine, run.run_id))[-1]["type"] == "run.failed"


async def test_a_webhook_that_was_not_told_is_told_by_the_next_process(
    process: EngineFactory,
) -> None:
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        await ended(engine, run.run_id)
        owed = Statement(
            "INSERT INTO deliveries (run_id, url) VALUES (?, 'http://hook.test/')", (run.run_id,)
        )
        await process.database.write(owed)
    async with process.engine():
        await asyncio.wait_for(process.webhooks.wait_idle(), 240)
    assert [(url, body["run_id"]) for url, body in process.posted] == [
        ("http://hook.test/", run.run_id)
    ]


async def test_runs_stopped_by_a_disk_that_takes_nothing_go_on_when_it_does(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("b")
    async with process.engine() as engine:
        run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        await gates.arrival("b")
        process.database._writing.execute("PRAGMA query_only = ON")
        gates.release("b")
        assert (await ended(engine, run.run_id)).status == "running"
        with pytest.raises(Unavailable, match="cannot be written"):
            await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        process.database._writing.execute("PRAGMA query_only = OFF")
        other = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        assert (await ended(engine, other.run_id)).status == "finished"
        events = await read_events(engine, run.run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["data"]["output"]["log"] == ["a", "b", "c"]


async def test_a_closing_engine_accepts_nothing_more(process: EngineFactory) -> None:
    async with process.engine() as engine:
        await engine.close(grace_s=0)
        with pytest.raises(Unavailable, match="stopping"):
            await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
