"""Runs and threads of tenants that know each other's ids: neither reads, stops nor ends the
other's."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from config.errors import Conflict, NotFound
from runs.engine import RunEngine
from runs.record import Run, RunRequest
from tests.support.runs.engines import EngineFactory
from tests.support.runs.graphs import NodeGates

A, B = "a", "b"


async def submit(engine: RunEngine, tenant: str, agent: str = "three", **fields: Any) -> Run:
    request = RunRequest(agent=agent, tenant=tenant, input={"x": 0}, create_thread=True, **fields)
    return await engine.submit(request)


async def finish(engine: RunEngine, tenant: str, agent: str = "three", **fields: Any) -> Run:
    run = await submit(engine, tenant, agent, **fields)
    return await asyncio.wait_for(engine.wait_ended(run.run_id, tenant=tenant), 240)


async def test_threads_of_one_id_have_each_their_own_state(
    engine: RunEngine, process: EngineFactory
) -> None:
    thread_id = str(uuid4())
    await process.threads.create(thread_id, tenant=A)
    await process.threads.create(thread_id, {"of": B}, tenant=B)  # no `thread_exists`

    await finish(engine, A, thread_id=thread_id)

    ours = await process.threads.get_state(thread_id, tenant=A)
    assert ours["checkpoint"]["thread_id"] == thread_id
    assert ours["values"]["log"] == ["a", "b", "c"]
    assert (await process.threads.get_state(thread_id, tenant=B))["values"] == {}
    assert await process.threads.get_history(thread_id, tenant=B) == []
    assert (await process.threads.get(thread_id, tenant=B))["metadata"] == {"of": B}


async def test_a_thread_that_is_deleted_leaves_its_namesake_as_it_was(
    engine: RunEngine, process: EngineFactory
) -> None:
    thread_id = str(uuid4())
    for tenant in (A, B):
        await finish(engine, tenant, thread_id=thread_id)

    await process.threads.delete(thread_id, tenant=A)

    assert await process.store.list_runs(tenant=A) == []
    with pytest.raises(NotFound):
        await process.threads.get_state(thread_id, tenant=A)
    [kept] = await process.store.list_runs(tenant=B)
    assert await process.store.events.read(kept.run_id, 0, tenant=B)
    assert (await process.threads.get_state(thread_id, tenant=B))["values"]["x"] == 3


async def test_a_copy_is_of_ones_own_thread(engine: RunEngine, process: EngineFactory) -> None:
    thread_id = str(uuid4())
    await finish(engine, A, thread_id=thread_id)
    await process.threads.create(thread_id, tenant=B)

    copied = await process.threads.copy(thread_id, tenant=B)

    assert (await process.threads.get_state(copied["thread_id"], tenant=B))["values"] == {}


@pytest.mark.parametrize("strategy", ["reject", "enqueue", "interrupt", "rollback"])
async def test_a_run_neither_waits_for_nor_ends_one_on_anothers_thread_of_that_id(
    engine: RunEngine, gates: NodeGates, strategy: Any
) -> None:
    thread_id = str(uuid4())
    gates.hold("b")
    first = await submit(engine, A, thread_id=thread_id)

    second = await submit(engine, B, thread_id=thread_id, multitask=strategy)

    assert (first.status, second.status) == ("running", "running")
    assert engine.find_busy(thread_id, tenant=A) == first.run_id
    assert engine.find_busy(thread_id, tenant="c") is None
    gates.release("b")
    for run in (first, second):
        ended = await asyncio.wait_for(engine.wait_ended(run.run_id, tenant=run.tenant), 240)
        assert ended.status == "finished"


async def test_a_waiting_run_is_neither_found_nor_superseded_through_anothers_thread(
    engine: RunEngine,
) -> None:
    thread_id = str(uuid4())
    asked = await finish(engine, A, "asking", thread_id=thread_id)

    await finish(engine, B, "asking", thread_id=thread_id)
    await finish(engine, B, "asking", thread_id=thread_id)

    assert engine.get(asked.run_id, tenant=A).status == "waiting"
    assert (found := engine.find_waiting(thread_id, tenant=A))
    assert found.run_id == asked.run_id
    assert engine.find_waiting(thread_id, tenant="c") is None


async def test_a_thread_is_not_given_the_name_of_a_run(
    engine: RunEngine, process: EngineFactory
) -> None:
    asked = await finish(engine, A, "asking")

    for if_exists in ("raise", "do_nothing"):
        with pytest.raises(Conflict) as refused:
            await process.threads.create(asked.run_id, if_exists=if_exists, tenant=A)
        assert refused.value.code == "thread_names_run"
    with pytest.raises(Conflict) as refused:
        await finish(engine, A, "asking", thread_id=asked.run_id)

    assert refused.value.code == "thread_names_run"
    assert await process.threads.search(tenant=A) == []


async def test_a_thread_that_has_the_name_of_anothers_run_does_not_lead_to_it(
    engine: RunEngine, process: EngineFactory
) -> None:
    asked = await finish(engine, A, "asking")
    await process.threads.create(asked.run_id, tenant=B)
    await finish(engine, B, "asking", thread_id=asked.run_id)
    await process.threads.delete(asked.run_id, tenant=B)

    await engine.resume(asked.run_id, "yes", tenant=A)

    ended = await asyncio.wait_for(engine.wait_ended(asked.run_id, tenant=A), 240)
    assert ended.output["log"] == ["a", "answer:yes", "c"]


async def test_a_new_thread_has_no_checkpoint_to_begin_at(engine: RunEngine) -> None:
    with pytest.raises(NotFound) as missing:
        await finish(engine, A, "three", thread_id=str(uuid4()), checkpoint_id="c1")

    assert missing.value.code == "checkpoint_not_found"


async def test_an_idempotency_key_of_another_makes_a_run_of_ones_own(engine: RunEngine) -> None:
    first, second = [await submit(engine, tenant, idempotency_key="k") for tenant in (A, B)]

    assert first.run_id != second.run_id
    assert (await submit(engine, A, idempotency_key="k")).run_id == first.run_id


async def test_who_knows_a_runs_id_alone_learns_and_changes_nothing(
    engine: RunEngine, process: EngineFactory
) -> None:
    run = await finish(engine, A, webhook="http://hook.test/")
    store = process.store

    assert store.find_run(run.run_id, tenant=B) is None
    assert store.events.last_seq(run.run_id, tenant=B) == 0
    assert await store.events.read(run.run_id, 0, tenant=B) is None
    assert await store.events.read_page(run.run_id, 0, 10, tenant=B) == []
    assert not await store.claim(run.run_id, "mail", tenant=B)
    await store.delete_run(run.run_id, tenant=B)
    for refused in (engine.cancel, engine.delete, engine.wait_ended, engine.take_up):
        with pytest.raises(NotFound):
            await refused(run.run_id, tenant=B)

    assert store.events.last_seq(run.run_id, tenant=A) > 0
    assert await store.claim(run.run_id, "mail", tenant=A)
    assert engine.get(run.run_id, tenant=A).status == "finished"
