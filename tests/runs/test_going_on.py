"""Runs without input go on where their thread has steps left; others begin anew."""

from __future__ import annotations

import shutil
from typing import Any
from uuid import uuid4

import pytest

from config.errors import Invalid, NotFound
from graphs.catalog import SHIPPED
from runs.engine import RunEngine
from runs.record import Run, RunRequest
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT


async def start(engine: RunEngine, agent: str, thread_id: str, input: Any, **more: Any) -> Run:
    request = RunRequest(
        agent=agent, tenant=TENANT, input=input, thread_id=thread_id, create_thread=True, **more
    )
    return await ended(engine, (await engine.submit(request)).run_id)


async def begun(engine: RunEngine, run: Run) -> list[str]:
    """The nodes that a run has begun."""
    events = await read_events(engine, run.run_id)
    return [each["node"] for each in events if each["type"] == "step.started"]


async def cancel_at(engine: RunEngine, gates: NodeGates, thread_id: str, node: str) -> None:
    gates.hold(node)
    request = RunRequest(
        agent="three", input={"x": 0}, thread_id=thread_id, create_thread=True, tenant=TENANT
    )
    run = await engine.submit(request)
    await gates.arrival(node)
    await engine.cancel(run.run_id, tenant=TENANT)
    gates.release(node)


async def test_a_thread_with_steps_left_is_continued(engine: RunEngine, gates: NodeGates) -> None:
    thread_id = str(uuid4())
    await cancel_at(engine, gates, thread_id, "b")

    run = await start(engine, "three", thread_id, None)

    assert run.output == {"x": 3, "log": ["a", "b", "c"]}
    assert await begun(engine, run) == ["b", "c"]


async def test_an_empty_input_begins_anew(engine: RunEngine, gates: NodeGates) -> None:
    thread_id = str(uuid4())
    await cancel_at(engine, gates, thread_id, "b")

    run = await start(engine, "three", thread_id, {})

    assert run.output == {"x": 4, "log": ["a", "a", "b", "c"]}


async def test_a_run_from_a_checkpoint_without_input_goes_on_there(
    process: EngineFactory, engine: RunEngine
) -> None:
    thread_id = str(uuid4())
    await start(engine, "three", thread_id, {"x": 0})
    before_b = (await process.threads.get_history(thread_id, tenant=TENANT))[2]

    run = await start(engine, "three", thread_id, None, checkpoint_id=before_b["checkpoint_id"])

    assert run.output == {"x": 3, "log": ["a", "b", "c"]}
    assert await begun(engine, run) == ["b", "c"]


async def test_a_fork_is_where_the_next_run_goes_on(
    process: EngineFactory, engine: RunEngine
) -> None:
    thread_id = str(uuid4())
    await start(engine, "three", thread_id, {"x": 0})
    before_b = (await process.threads.get_history(thread_id, tenant=TENANT))[2]
    await process.threads.update_state(
        thread_id, {"x": 10}, as_node="a", checkpoint_id=before_b["checkpoint_id"], tenant=TENANT
    )

    run = await start(engine, "three", thread_id, None)

    assert run.output == {"x": 12, "log": ["a", "b", "c"]}


async def test_time_travel_to_a_person_asks_again(
    process: EngineFactory, engine: RunEngine, gates: NodeGates
) -> None:
    thread_id = str(uuid4())
    first = await start(engine, "asking", thread_id, {"x": 0})
    asking = first.interrupts[0]["checkpoint_id"]
    await engine.resume(first.run_id, "yes", tenant=TENANT)
    assert (await ended(engine, first.run_id)).output["log"] == ["a", "answer:yes", "c"]

    again = await start(engine, "asking", thread_id, None, checkpoint_id=asking)
    assert (again.status, [each["value"] for each in again.interrupts]) == (
        "waiting",
        [{"question": "ok?"}],
    )
    await engine.resume(again.run_id, "no", tenant=TENANT)

    again = await ended(engine, again.run_id)
    assert again.output["log"] == ["a", "answer:no", "c"]
    assert gates.entered["a"] == 1


async def test_a_waiting_thread_that_is_continued_asks_in_the_new_run(engine: RunEngine) -> None:
    thread_id = str(uuid4())
    first = await start(engine, "asking", thread_id, {"x": 0})

    second = await start(engine, "asking", thread_id, None)

    assert engine.get(first.run_id, tenant=TENANT).status == "cancelled"
    assert second.status == "waiting"
    await engine.resume(second.run_id, "yes", tenant=TENANT)
    assert (await ended(engine, second.run_id)).output["log"] == ["a", "answer:yes", "c"]


async def test_the_second_question_of_a_step_is_asked_again_not_the_first(
    engine: RunEngine,
) -> None:
    thread_id = str(uuid4())
    first = await start(engine, "asking-twice", thread_id, {"x": 0})
    await engine.resume(first.run_id, "one", tenant=TENANT)
    assert (await ended(engine, first.run_id)).status == "waiting"

    second = await start(engine, "asking-twice", thread_id, None)

    assert [each["value"] for each in second.interrupts] == [{"question": "two?"}]
    await engine.resume(second.run_id, "two", tenant=TENANT)
    assert (await ended(engine, second.run_id)).output["log"] == ["one", "two"]


async def test_a_run_without_input_behind_another_begins_where_that_one_left(
    engine: RunEngine, gates: NodeGates
) -> None:
    thread_id = str(uuid4())
    gates.hold("b")
    request = RunRequest(
        agent="three", input={"x": 0}, thread_id=thread_id, create_thread=True, tenant=TENANT
    )
    first = await engine.submit(request)
    await gates.arrival("b")
    second = await engine.submit(RunRequest(agent="three", thread_id=thread_id, tenant=TENANT))
    await engine.cancel(first.run_id, tenant=TENANT)
    gates.release("b")

    assert (await ended(engine, second.run_id)).output == {"x": 3, "log": ["a", "b", "c"]}


async def test_a_continued_run_that_is_cut_off_goes_on_in_the_next_process(
    process: EngineFactory, gates: NodeGates
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        await cancel_at(engine, gates, thread_id, "b")
        gates.hold("b")
        run = await engine.submit(RunRequest(agent="three", thread_id=thread_id, tenant=TENANT))
        await gates.arrival("b")
    gates.release("b")

    async with process.engine() as engine:
        run = await ended(engine, run.run_id)

    assert run.output == {"x": 3, "log": ["a", "b", "c"]}
    assert gates.entered["a"] == 1


async def test_a_continued_run_that_is_answered_in_the_next_process_keeps_the_answer(
    process: EngineFactory,
) -> None:
    """The question stands on a checkpoint that another run made."""
    thread_id = str(uuid4())
    async with process.engine() as engine:
        await start(engine, "asking", thread_id, {"x": 0})
        second = await start(engine, "asking", thread_id, None)
    async with process.engine() as engine:
        await engine.resume(second.run_id, "yes", tenant=TENANT)

        assert (await ended(engine, second.run_id)).output["log"] == ["a", "answer:yes", "c"]


async def test_a_thread_without_steps_left_needs_an_input(
    engine: RunEngine, process: EngineFactory, gates: NodeGates
) -> None:
    """`three` needs none: it begins anew."""
    thread_id = str(uuid4())
    await start(engine, "three", thread_id, {"x": 0})

    again = await start(engine, "three", thread_id, None)

    assert again.output == {"x": 6, "log": ["a", "b", "c"] * 2}


@pytest.mark.parametrize("input", [None, {}])
async def test_a_missing_input_is_refused_and_leaves_the_thread_as_it_was(
    process: EngineFactory, input: Any
) -> None:
    agents = process.folder / "agents"
    agents.mkdir()
    shutil.copy(SHIPPED / "review.yaml", agents)
    thread_id = str(uuid4())
    async with process.engine() as engine:
        with pytest.raises(Invalid) as refused:
            await start(engine, "review", thread_id, input)

        assert refused.value.code == "invalid_input"
        with pytest.raises(NotFound):
            await engine.submit(RunRequest(agent="three", thread_id=thread_id, tenant=TENANT))
