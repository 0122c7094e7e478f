"""An answer that is sent again with its key is given once."""

from __future__ import annotations

import asyncio

import pytest

from config.errors import Conflict
from runs.engine import RunEngine
from runs.idempotency import IdempotencyKey, key_of_answer
from runs.record import Run, RunRequest
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT


async def ask(engine: RunEngine, agent: str = "asking-twice") -> Run:
    """A run that waits for a person."""
    run = await engine.submit(RunRequest(agent=agent, input={"x": 0}, tenant=TENANT))
    return await ended(engine, run.run_id)


def key_of(run: Run, answer: str, key: str = "k") -> IdempotencyKey | None:
    return key_of_answer(TENANT, key, run.run_id, answer)


async def test_an_answer_that_is_sent_again_does_not_reach_the_next_question(
    engine: RunEngine,
) -> None:
    run = await ask(engine)

    for _ in range(2):
        await engine.resume(run.run_id, "yes", tenant=TENANT, key=key_of(run, "yes"))
        run = await ended(engine, run.run_id)

    assert [each["value"] for each in run.interrupts] == [{"question": "two?"}]


async def test_answers_sent_at_once_with_one_key_are_given_once(engine: RunEngine) -> None:
    run = await ask(engine)
    key = key_of(run, "yes")

    answered = await asyncio.gather(
        *(engine.resume(run.run_id, "yes", tenant=TENANT, key=key) for _ in range(5))
    )

    assert {(each.run.run_id, each.after) for each in answered} == {(run.run_id, 3)}
    assert len((await ended(engine, run.run_id)).interrupts) == 1


async def test_an_answer_sent_again_names_the_events_that_followed_it(engine: RunEngine) -> None:
    run = await ask(engine)
    first = await engine.resume(run.run_id, "yes", tenant=TENANT, key=key_of(run, "yes"))
    await ended(engine, run.run_id)

    again = await engine.resume(run.run_id, "yes", tenant=TENANT, key=key_of(run, "yes"))

    assert again.after == first.after
    following = await read_events(engine, run.run_id, after=again.after)
    assert (following[0]["type"], following[0]["data"]["reason"]) == ("run.started", "resumed")


async def test_a_key_of_an_answer_holds_in_the_next_process(process: EngineFactory) -> None:
    async with process.engine() as engine:
        run = await ask(engine)
        await engine.resume(run.run_id, "yes", tenant=TENANT, key=key_of(run, "yes"))
        await ended(engine, run.run_id)

    async with process.engine() as engine:
        await engine.resume(run.run_id, "yes", tenant=TENANT, key=key_of(run, "yes"))
        run = await ended(engine, run.run_id)

    assert [each["value"] for each in run.interrupts] == [{"question": "two?"}]


async def test_a_key_that_came_with_another_answer_is_refused(
    engine: RunEngine, gates: NodeGates
) -> None:
    run = await ask(engine)
    await engine.resume(run.run_id, "yes", tenant=TENANT, key=key_of(run, "yes"))
    await ended(engine, run.run_id)

    with pytest.raises(Conflict) as refused:
        await engine.resume(run.run_id, "no", tenant=TENANT, key=key_of(run, "no"))

    assert refused.value.code == "idempotency_key_reused"
    assert gates.entered["between"] == 1


async def test_a_refused_answer_leaves_its_key_free(engine: RunEngine, gates: NodeGates) -> None:
    gates.hold("ask")
    request = RunRequest(agent="asking", input={"x": 0}, tenant=TENANT)
    run = await engine.submit(request)
    await gates.arrival("ask")
    with pytest.raises(Conflict, match="does not wait"):
        await engine.resume(run.run_id, "yes", tenant=TENANT, key=key_of(run, "yes"))
    gates.release("ask")
    run = await ended(engine, run.run_id)

    await engine.resume(run.run_id, "yes", tenant=TENANT, key=key_of(run, "yes"))

    assert (await ended(engine, run.run_id)).output["log"] == ["a", "answer:yes", "c"]
