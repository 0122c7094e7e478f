"""Runs from the wish to the end: events, states, cancelling, resuming, queues, idempotency."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from config.errors import Busy, Conflict, Invalid, NotFound
from runs.engine import RunEngine
from runs.record import RunRequest
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT


def on_thread(agent: str, thread_id: str, **more: object) -> RunRequest:
    request = {"agent": agent, "input": {"x": 0}, "tenant": TENANT, "thread_id": thread_id}
    return RunRequest(**{**request, "create_thread": True, **more})  # type: ignore[arg-type]


async def test_a_run_tells_its_steps_in_order_and_ends_with_its_output(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
    events = await read_events(engine, run.run_id)
    assert [(event["type"], event.get("node")) for event in events] == [
        ("run.started", None),
        ("step.started", "a"),
        ("step.finished", "a"),
        ("step.started", "b"),
        ("step.finished", "b"),
        ("step.started", "c"),
        ("step.finished", "c"),
        ("run.finished", None),
    ]
    assert [event["seq"] for event in events] == list(range(1, 9))
    assert events[-1]["data"]["output"] == {"x": 3, "log": ["a", "b", "c"]}
    assert engine.get(run.run_id, tenant=TENANT).status == "finished"


async def test_an_accepted_run_is_on_disk_when_submit_returns(
    engine: RunEngine, process: EngineFactory, gates: NodeGates
) -> None:
    gates.hold("a")
    run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
    stored = process.store.find_run(run.run_id, tenant=TENANT)
    assert stored is not None
    assert (stored.status, stored.input) == ("running", {"x": 0})
    gates.release("a")


async def test_a_failing_node_fails_the_run_with_its_reason(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="failing", input={"x": 0}, tenant=TENANT))
    events = await read_events(engine, run.run_id)
    assert [event["type"] for event in events][-2:] == ["step.failed", "run.failed"]
    assert engine.get(run.run_id, tenant=TENANT).error == {
        "code": "step_failed",
        "family": "internal",
        "message": "boom: ValueError: deliberate failure",
        "details": {"node": "boom"},
    }


async def test_a_graph_that_never_ends_is_stopped_by_its_bound(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="endless", input={"x": 0}, tenant=TENANT))
    await ended(engine, run.run_id)
    assert (engine.get(run.run_id, tenant=TENANT).error or {})["code"] == "too_many_steps"


async def test_cancelling_a_run_in_the_middle_of_a_step_ends_it_with_the_reason(
    engine: RunEngine, gates: NodeGates
) -> None:
    gates.hold("b")
    run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
    await gates.arrival("b")
    await engine.cancel(run.run_id, reason="requested", tenant=TENANT)
    events = await read_events(engine, run.run_id)
    assert events[-1]["type"] == "run.cancelled"
    assert events[-1]["data"] == {"reason": "requested"}
    assert engine.get(run.run_id, tenant=TENANT).status == "cancelled"
    with pytest.raises(Conflict, match="ended already"):
        await engine.cancel(run.run_id, tenant=TENANT)


async def test_a_run_that_asks_waits_and_goes_on_with_the_answer(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
    first = await read_events(engine, run.run_id)
    assert first[-1]["type"] == "run.waiting"
    assert first[-1]["data"]["interrupts"][0]["value"] == {"question": "ok?"}
    await engine.resume(run.run_id, "yes", tenant=TENANT)
    rest = await read_events(engine, run.run_id, after=first[-1]["seq"])
    assert [event["seq"] for event in first + rest] == list(range(1, len(first + rest) + 1))
    assert rest[-1]["data"]["output"]["log"] == ["a", "answer:yes", "c"]


async def test_a_run_that_does_not_wait_cannot_be_resumed(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
    await ended(engine, run.run_id)
    with pytest.raises(Conflict, match="does not wait"):
        await engine.resume(run.run_id, "yes", tenant=TENANT)


async def test_of_two_answers_at_once_one_is_taken(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
    await ended(engine, run.run_id)
    answers = await asyncio.gather(
        *(engine.resume(run.run_id, text, tenant=TENANT) for text in ("yes", "no")),
        return_exceptions=True,
    )
    assert [type(answer).__name__ for answer in answers].count("Conflict") == 1
    assert len((await ended(engine, run.run_id)).output["log"]) == 3


async def test_a_waiting_run_can_be_cancelled(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
    await ended(engine, run.run_id)
    await engine.cancel(run.run_id, tenant=TENANT)
    assert engine.get(run.run_id, tenant=TENANT).status == "cancelled"
    assert (await read_events(engine, run.run_id))[-1]["type"] == "run.cancelled"


async def test_runs_on_one_thread_go_one_after_another_and_share_its_state(
    engine: RunEngine, gates: NodeGates
) -> None:
    thread = str(uuid4())
    gates.hold("b")
    first = await engine.submit(on_thread("three", thread))
    await gates.arrival("b")
    second = await engine.submit(on_thread("three", thread))
    assert engine.get(second.run_id, tenant=TENANT).status == "queued"
    assert gates.entered["a"] == 1
    gates.release("b")
    assert (await ended(engine, second.run_id)).output["log"] == ["a", "b", "c"] * 2
    assert [event["type"] for event in await read_events(engine, second.run_id)][:2] == [
        "run.queued",
        "run.started",
    ]
    assert engine.get(first.run_id, tenant=TENANT).status == "finished"


async def test_a_busy_thread_rejects_when_it_is_told_to(
    engine: RunEngine, gates: NodeGates
) -> None:
    thread = str(uuid4())
    gates.hold("a")
    await engine.submit(on_thread("three", thread))
    with pytest.raises(Conflict, match="busy"):
        await engine.submit(on_thread("three", thread, multitask="reject"))
    gates.release("a")


async def test_interrupt_ends_the_run_under_way_and_keeps_what_it_did(
    engine: RunEngine, gates: NodeGates
) -> None:
    thread = str(uuid4())
    gates.hold("b")
    first = await engine.submit(on_thread("three", thread))
    await gates.arrival("b")
    second = asyncio.create_task(engine.submit(on_thread("talking", thread, multitask="interrupt")))
    with pytest.raises(Conflict, match="belongs to agent 'three'"):
        await second
    gates.hold("c")
    run = await engine.submit(on_thread("three", thread, multitask="interrupt"))
    assert engine.get(first.run_id, tenant=TENANT).status == "cancelled"
    gates.release("b")
    gates.release("c")
    assert (await ended(engine, run.run_id)).output["log"] == ["a", "a", "b", "c"]


async def test_rollback_forgets_the_run_under_way_and_what_it_did(
    engine: RunEngine, gates: NodeGates
) -> None:
    thread = str(uuid4())
    done = await engine.submit(on_thread("three", thread))
    await ended(engine, done.run_id)
    gates.hold("b")
    first = await engine.submit(on_thread("three", thread))
    await gates.arrival("b")
    second = asyncio.create_task(engine.submit(on_thread("three", thread, multitask="rollback")))
    run = await asyncio.wait_for(second, 240)
    gates.release("b")
    assert (await ended(engine, run.run_id)).output["log"] == ["a", "b", "c"] * 2
    with pytest.raises(NotFound):
        engine.get(first.run_id, tenant=TENANT)


async def test_a_new_run_supersedes_one_that_waits_on_the_thread(engine: RunEngine) -> None:
    thread = str(uuid4())
    first = await engine.submit(on_thread("asking", thread))
    await ended(engine, first.run_id)
    second = await engine.submit(on_thread("asking", thread))
    await ended(engine, second.run_id)
    assert engine.get(first.run_id, tenant=TENANT).status == "cancelled"
    assert engine.get(second.run_id, tenant=TENANT).status == "waiting"


async def test_a_run_in_line_supersedes_the_one_before_it_that_comes_to_wait(
    engine: RunEngine, gates: NodeGates
) -> None:
    gates.hold("ask")
    request = RunRequest(
        agent="asking", input={"x": 0}, thread_id=str(uuid4()), create_thread=True, tenant=TENANT
    )
    first = await engine.submit(request)
    await gates.arrival("ask")
    second = await engine.submit(request)
    gates.release("ask")
    await ended(engine, first.run_id)
    assert (await ended(engine, second.run_id)).status == "waiting"
    assert (await read_events(engine, first.run_id))[-1]["data"] == {"reason": "superseded"}
    with pytest.raises(Conflict):
        await engine.resume(first.run_id, "too late", tenant=TENANT)
    await engine.resume(second.run_id, "yes", tenant=TENANT)
    assert (await ended(engine, second.run_id)).output["log"][-2:] == ["answer:yes", "c"]


async def test_a_reader_may_answer_as_soon_as_it_sees_the_question(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
    async for batch in engine.follow(run.run_id, tenant=TENANT):
        if batch.events[-1].type == "run.waiting":
            await engine.resume(run.run_id, "at once", tenant=TENANT)
    assert (await ended(engine, run.run_id)).output["log"] == ["a", "answer:at once", "c"]
    assert engine.active == 0


async def test_a_run_cancelled_as_it_comes_to_wait_ends(
    engine: RunEngine, process: EngineFactory
) -> None:
    commit, loop = process.database._commit, asyncio.get_running_loop()
    arrived, let_go = asyncio.Event(), threading.Event()

    def held(group: Sequence[Any]) -> None:
        if any("waiting" in s.parameters for write in group for s in write.statements):
            loop.call_soon_threadsafe(arrived.set)
            let_go.wait(10)
        commit(group)

    process.database._commit = held  # type: ignore[method-assign]
    run = await engine.submit(RunRequest(agent="asking", input={"x": 0}, tenant=TENANT))
    await asyncio.wait_for(arrived.wait(), 240)
    cancelling = asyncio.create_task(engine.cancel(run.run_id, tenant=TENANT))
    await asyncio.sleep(0)
    let_go.set()
    assert (await asyncio.wait_for(cancelling, 240)).status == "cancelled"
    assert (await read_events(engine, run.run_id))[-1]["type"] == "run.cancelled"


async def test_a_webhook_is_told_of_a_waiting_run_that_is_cancelled(
    engine: RunEngine, process: EngineFactory
) -> None:
    run = await engine.submit(
        RunRequest(agent="asking", input={"x": 0}, webhook="http://hook.test/", tenant=TENANT)
    )
    await ended(engine, run.run_id)
    await engine.cancel(run.run_id, tenant=TENANT)
    await asyncio.wait_for(process.webhooks.wait_idle(), 240)
    assert [body["status"] for _, body in process.posted] == ["cancelled"]


async def test_the_same_idempotency_key_gives_the_same_run(engine: RunEngine) -> None:
    request = RunRequest(agent="three", input={"x": 0}, idempotency_key="k", tenant=TENANT)
    runs = await asyncio.gather(*(engine.submit(request) for _ in range(5)))
    assert len({run.run_id for run in runs}) == 1
    await ended(engine, runs[0].run_id)
    assert (await engine.submit(request)).run_id == runs[0].run_id
    with pytest.raises(Conflict, match="another request"):
        await engine.submit(
            RunRequest(agent="three", input={"x": 1}, idempotency_key="k", tenant=TENANT)
        )


@pytest.mark.parametrize(
    "other",
    [{"webhook": "http://hook.test/"}, {"metadata": {"of": "them"}}, {"multitask": "reject"}],
)
async def test_an_idempotency_key_is_for_all_that_a_request_asks(
    engine: RunEngine, other: dict[str, Any]
) -> None:
    request = RunRequest(agent="three", input={"x": 0}, idempotency_key="k", tenant=TENANT)
    await engine.submit(request)

    with pytest.raises(Conflict) as refused:
        await engine.submit(replace(request, **other))

    assert refused.value.code == "idempotency_key_reused"


async def test_runs_beyond_the_capacity_wait_and_beyond_the_queue_are_refused(
    process: EngineFactory, gates: NodeGates
) -> None:
    async with process.engine(max_active=1, max_queued=1) as engine:
        gates.hold("a")
        running = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        await gates.arrival("a")
        waiting = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        assert engine.get(waiting.run_id, tenant=TENANT).status == "queued"
        with pytest.raises(Busy):
            await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        gates.release("a")
        await ended(engine, waiting.run_id)
        assert engine.get(running.run_id, tenant=TENANT).status == "finished"


async def test_a_run_cancelled_in_line_never_begins(
    process: EngineFactory, gates: NodeGates
) -> None:
    async with process.engine(max_active=1) as engine:
        gates.hold("a")
        await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        await gates.arrival("a")
        waiting = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
        await engine.cancel(waiting.run_id, tenant=TENANT)
        gates.release("a")
        types = [event["type"] for event in await read_events(engine, waiting.run_id)]
        assert types == ["run.queued", "run.cancelled"]
        assert gates.entered["a"] == 1


async def test_unknown_agents_threads_and_runs_are_not_found(engine: RunEngine) -> None:
    with pytest.raises(NotFound, match="Did you mean 'three'"):
        await engine.submit(RunRequest(agent="tree", input={}, tenant=TENANT))
    with pytest.raises(NotFound, match="no thread"):
        await engine.submit(
            RunRequest(agent="three", input={"x": 0}, thread_id=str(uuid4()), tenant=TENANT)
        )
    with pytest.raises(NotFound):
        engine.get("nothing", tenant=TENANT)


async def test_a_run_is_invisible_to_another_tenant(engine: RunEngine) -> None:
    run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant="one"))
    with pytest.raises(NotFound):
        engine.get(run.run_id, tenant="two")
    assert (await asyncio.wait_for(engine.wait_ended(run.run_id, tenant="one"), 240)).ended


async def test_input_that_does_not_fit_is_refused_before_anything_is_written(
    engine: RunEngine, process: EngineFactory
) -> None:
    with pytest.raises(Invalid):
        await engine.submit(RunRequest(agent="three", input="words", tenant=TENANT))
    assert await process.store.list_runs(tenant=TENANT) == []


async def test_a_webhook_is_told_of_the_end_and_asked_again_until_it_takes_it(
    process: EngineFactory,
) -> None:
    process.statuses = [500, 503]
    async with process.engine() as engine:
        run = await engine.submit(
            RunRequest(agent="three", input={"x": 0}, webhook="http://hook.test/", tenant=TENANT)
        )
        await ended(engine, run.run_id)
        await asyncio.wait_for(process.webhooks.wait_idle(), 240)
        shown = process.webhooks.describe(engine.get(run.run_id, tenant=TENANT))
    assert shown
    assert (shown["state"], shown["attempts"], shown["status"]) == ("delivered", 3, 200)
    assert [url for url, _ in process.posted] == ["http://hook.test/"] * 3
    assert process.posted[0][1]["status"] == "finished"
