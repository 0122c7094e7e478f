"""Attempts that break: the disk's refusals hold a run, faults fail it, and nothing loops."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from config.errors import Conflict, Invalid, Unavailable
from runs.agent_versions import AgentVersions
from runs.database import Statement
from runs.engine import RunEngine
from runs.execution import Execution
from runs.record import IllegalTransition, Run, RunRequest
from runs.run_log import RunLog
from runs.stream_translator import StreamTranslator
from tests.support.runs.engines import EngineFactory, Storage, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT

THREE = RunRequest(agent="three", input={"x": 0}, tenant=TENANT)


def set_disk(process: EngineFactory, *, takes_writes: bool) -> None:
    query_only = "OFF" if takes_writes else "ON"
    process.database._writing.execute(f"PRAGMA query_only = {query_only}")


@pytest.mark.parametrize("error", [RuntimeError("ours"), KeyError("gone"), OverflowError("big")])
async def test_a_fault_of_the_engine_fails_the_run_with_its_reason(
    engine: RunEngine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def broken(self: Execution, *args: Any) -> None:
        raise error

    monkeypatch.setattr(Execution, "execute", broken)
    run = await engine.submit(THREE)
    events = await read_events(engine, run.run_id)

    assert [event["type"] for event in events] == ["run.started", "run.failed"]
    failed = engine.get(run.run_id, tenant=TENANT)
    assert failed.status == "failed"
    assert (failed.error or {})["code"] == "internal_error"
    assert type(error).__name__ in (failed.error or {})["message"]
    assert len(engine.held) == 0


async def test_a_write_that_sqlite_cannot_hold_fails_its_run_alone(
    engine: RunEngine, process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("b")
    run = await engine.submit(THREE)
    await gates.arrival("b")
    execution = engine._executor.find(run.run_id)
    assert execution
    impossible = Statement("INSERT INTO claims VALUES (?, ?)", (2**70, "\ud800"))
    execution.log.defer_write(impossible, "")
    gates.release("b")

    assert (await ended(engine, run.run_id)).status == "failed"
    other = await engine.submit(THREE)
    assert (await ended(engine, other.run_id)).status == "finished"


@pytest.mark.parametrize("value", [2**70, "\ud800", "a\x00b" * 3, b"\xff"])
async def test_the_database_goes_on_after_a_value_of_any_kind(storage: Storage, value: Any) -> None:
    write = storage.database.write(Statement("INSERT INTO claims VALUES (?, 'one')", (value,)))
    [outcome] = await asyncio.gather(write, return_exceptions=True)
    await storage.database.write(Statement("INSERT INTO claims VALUES ('after', 'one')"))

    assert not isinstance(outcome, Unavailable)
    assert storage.database.row("SELECT run_id FROM claims WHERE run_id = 'after'")


async def test_an_illegal_end_spends_no_number(storage: Storage) -> None:
    run = new_run("finished")
    run_log = RunLog(run.run_id, storage.store, tenant=TENANT)

    with pytest.raises(IllegalTransition):
        run_log.number_end(run, "failed", "late", {"error": {}})

    assert run_log.number("custom", data=1).seq == 1


class Unspeakable:
    """Cannot be written down in any way."""

    def __repr__(self) -> str:
        raise ValueError("unspeakable")


async def test_an_end_without_json_leaves_run_and_number_as_they_were(storage: Storage) -> None:
    run = new_run("running")
    run_log = RunLog(run.run_id, storage.store, tenant=TENANT)

    with pytest.raises(ValueError, match="unspeakable"):
        run_log.number_end(run, "finished", "output", {"output": Unspeakable()})

    assert run.status == "running"
    assert run_log.number_end(run, "cancelled", "output", {"reason": "requested"}).seq == 1


async def test_a_wait_that_cannot_be_recorded_fails_without_a_hole(
    engine: RunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = StreamTranslator._ask

    def unspeakable(self: StreamTranslator, *args: Any) -> None:
        ask(self, *args)
        self.interrupts[0]["value"] = Unspeakable()

    monkeypatch.setattr(StreamTranslator, "_ask", unspeakable)
    run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
    events = await read_events(engine, run.run_id)

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run.failed"


async def test_a_run_that_cannot_be_prepared_does_not_keep_the_server_down(
    process: EngineFactory, gates: NodeGates, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates.hold("a")
    async with process.engine() as engine:
        broken = await engine.submit(THREE)
        sound = await engine.submit(RunRequest(agent="talking", input={"x": 0}, tenant=TENANT))
        await gates.arrival("a")
    gates.release("a")
    find_of_run = AgentVersions.find_of_run

    def find(self: AgentVersions, run: Run) -> Any:
        if run.run_id == broken.run_id:
            raise KeyError("a module that does not build")
        return find_of_run(self, run)

    monkeypatch.setattr(AgentVersions, "find_of_run", find)
    async with process.engine() as engine:
        assert (engine.get(broken.run_id, tenant=TENANT).error or {})["code"] == "step_failed"
        assert (await ended(engine, sound.run_id)).status == "finished"


async def test_a_request_that_the_disk_refused_does_not_run(
    engine: RunEngine, process: EngineFactory, gates: NodeGates
) -> None:
    await engine.submit(THREE)
    gates.entered.clear()
    set_disk(process, takes_writes=False)
    for _ in range(3):
        with pytest.raises(Unavailable, match="cannot be written"):
            await engine.submit(RunRequest(agent="talking", input={"x": 0}, tenant=TENANT))
    set_disk(process, takes_writes=True)
    done = await engine.submit(THREE)
    await ended(engine, done.run_id)

    assert gates.entered["talk"] == 0
    assert len(engine.held) == 0


async def test_an_answer_that_the_disk_refused_is_not_given(
    engine: RunEngine, process: EngineFactory, gates: NodeGates
) -> None:
    run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
    await ended(engine, run.run_id)
    set_disk(process, takes_writes=False)
    with pytest.raises(Unavailable, match="cannot be written"):
        await engine.resume(run.run_id, "no", tenant=TENANT)
    set_disk(process, takes_writes=True)

    assert (await ended(engine, run.run_id)).status == "waiting"
    assert gates.entered["ask"] == 1
    await engine.resume(run.run_id, "yes", tenant=TENANT)
    assert (await ended(engine, run.run_id)).output["log"] == ["a", "answer:yes", "c"]


async def test_runs_that_the_disk_refused_go_on_by_themselves(
    engine: RunEngine, process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("b")
    runs = [await engine.submit(THREE) for _ in range(3)]
    await gates.arrival("b")
    set_disk(process, takes_writes=False)
    gates.release("b")
    for run in runs:
        assert (await ended(engine, run.run_id)).status == "running"
    set_disk(process, takes_writes=True)

    for run in runs:
        while (now := await ended(engine, run.run_id)).status == "running":
            await process.database.rows("SELECT 1")
        assert now.output == {"x": 3, "log": ["a", "b", "c"]}
        assert now.open_attempts <= 1


async def test_a_run_recovered_onto_a_full_disk_goes_on_when_there_is_room(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("b")
    async with process.engine() as engine:
        run = await engine.submit(THREE)
        await gates.arrival("b")
    gates.release("b")
    async with process.engine() as engine:
        set_disk(process, takes_writes=False)
        assert (await ended(engine, run.run_id)).status in ("running", "finished")
        set_disk(process, takes_writes=True)
        while (now := await ended(engine, run.run_id)).status == "running":
            await process.database.rows("SELECT 1")
        assert now.output["log"] == ["a", "b", "c"]


async def test_a_new_run_on_a_thread_goes_behind_the_one_that_the_disk_refused(
    engine: RunEngine, process: EngineFactory, gates: NodeGates
) -> None:
    thread = str(uuid4())
    request = RunRequest(
        agent="three", input={"x": 0}, thread_id=thread, create_thread=True, tenant=TENANT
    )
    gates.hold("b")
    first = await engine.submit(request)
    await gates.arrival("b")
    set_disk(process, takes_writes=False)
    gates.release("b")
    await ended(engine, first.run_id)
    set_disk(process, takes_writes=True)
    second = await engine.submit(request)

    assert (await ended(engine, second.run_id)).output["log"] == ["a", "b", "c"] * 2
    assert engine.get(first.run_id, tenant=TENANT).output["log"] == ["a", "b", "c"]


async def test_a_held_run_is_taken_up_or_cancelled_by_its_id(
    process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("a")
    thread = str(uuid4())
    on_thread = RunRequest(
        agent="three", input={"x": 0}, thread_id=thread, create_thread=True, tenant=TENANT
    )
    async with process.engine() as engine:
        runs = [await engine.submit(each) for each in (THREE, THREE, on_thread)]
        await gates.arrival("a")
    gates.release("a")
    entered = gates.entered["a"]
    async with process.engine(hold=True) as engine:
        assert gates.entered["a"] == entered
        assert len(engine.held) == 3
        await engine.take_up(runs[0].run_id, tenant=TENANT)
        assert (await ended(engine, runs[0].run_id)).status == "finished"
        assert (await engine.cancel(runs[1].run_id, tenant=TENANT)).status == "cancelled"
        with pytest.raises(Conflict, match="is held"):
            await engine.submit(on_thread)
        with pytest.raises(Conflict, match="not held"):
            await engine.take_up(runs[0].run_id, tenant=TENANT)
        assert (await process.threads.get(thread, tenant=TENANT))["status"] == "busy"
        assert len(engine.held) == 1
    async with process.engine() as engine:
        assert (await ended(engine, runs[2].run_id)).status == "finished"


async def test_a_waiting_run_is_not_taken_up_without_an_answer(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
    await ended(engine, run.run_id)

    with pytest.raises(Invalid, match="waits for an answer"):
        await engine.take_up(run.run_id, tenant=TENANT)


def new_run(status: Any) -> Run:
    return Run(
        run_id="run",
        tenant="default",
        agent="three",
        version="1",
        thread_id="run",
        own_thread=True,
        status=status,
        attempt=1,
        input=None,
        created_at=0.0,
    )
