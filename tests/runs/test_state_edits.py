"""Edits of a state while a person is asked: edit and answer are kept, nothing is done twice."""

from __future__ import annotations

import sqlite3
from typing import Any
from uuid import uuid4

import pytest

from config.errors import Conflict, Invalid
from runs.database import Statement
from runs.engine import RunEngine
from runs.record import Run, RunRequest
from runs.threads import Threads
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT

DRAFT = {"draft": "hi"}


@pytest.fixture
def threads(process: EngineFactory, engine: RunEngine) -> Threads:
    return process.threads


async def start(engine: RunEngine, agent: str, thread_id: str, input: Any = None) -> Run:
    """A run, when it has ended or waits."""
    request = RunRequest(
        agent=agent, input=input, tenant=TENANT, thread_id=thread_id, create_thread=True
    )
    return await ended(engine, (await engine.submit(request)).run_id)


async def ask(engine: RunEngine, agent: str) -> Run:
    """A run that waits for a person, on a thread of its own."""
    run = await start(engine, agent, str(uuid4()), DRAFT)
    assert run.status == "waiting", run.error
    return run


async def answer(engine: RunEngine, run: Run, answer: Any = "yes") -> Run:
    await engine.resume(run.run_id, answer, tenant=TENANT)
    return await ended(engine, run.run_id)


def question(run: Run, kind: str) -> str:
    """The id of the question of this kind."""
    [id_] = [each["id"] for each in run.interrupts if kind in each["value"]]
    return str(id_)


# one question


@pytest.mark.parametrize("as_node", [None, "mail"])
async def test_an_approval_with_changes_keeps_the_edit_and_the_answer(
    engine: RunEngine, threads: Threads, gates: NodeGates, as_node: str | None
) -> None:
    run = await ask(engine, "review-one")

    await threads.update_state(run.thread_id, {"draft": "better"}, as_node=as_node, tenant=TENANT)
    run = await answer(engine, run)

    assert run.output["done"] == "better yes mailed HI"
    assert gates.entered == {"write": 1, "mail": 1, "close": 1}


async def test_an_edit_at_the_checkpoint_that_was_read_is_the_same_edit(
    engine: RunEngine, threads: Threads, gates: NodeGates
) -> None:
    run = await ask(engine, "review-one")
    state = await threads.get_state(run.thread_id, tenant=TENANT)

    await threads.update_state(
        run.thread_id, {"draft": "better"}, checkpoint_id=state["checkpoint_id"], tenant=TENANT
    )
    run = await answer(engine, run)

    assert run.output["done"] == "better yes mailed HI"
    assert gates.entered["mail"] == 1


async def test_an_edited_state_is_shown_with_its_question(
    engine: RunEngine, threads: Threads
) -> None:
    run = await ask(engine, "review-one")
    before = await threads.get_state(run.thread_id, tenant=TENANT)

    written = await threads.update_state(
        run.thread_id, {"draft": "better", "notes": ["me"]}, tenant=TENANT
    )

    state = await threads.get_state(run.thread_id, tenant=TENANT)
    assert state["checkpoint"] == written["checkpoint"]
    assert state["values"]["draft"] == "better"
    assert state["values"]["notes"] == ["write", "mail", "me"]
    assert (state["next"], state["interrupts"]) == (["ask"], before["interrupts"])
    at_checkpoint = await threads.get_state(run.thread_id, written["checkpoint_id"], tenant=TENANT)
    assert at_checkpoint["values"] == state["values"]


async def test_of_two_edits_both_are_kept_and_the_last_word_counts(
    engine: RunEngine, threads: Threads
) -> None:
    run = await ask(engine, "review-one")

    await threads.update_state(run.thread_id, {"draft": "good", "notes": ["one"]}, tenant=TENANT)
    await threads.update_state(run.thread_id, {"draft": "better", "notes": ["two"]}, tenant=TENANT)
    await threads.update_state(run.thread_id, {"receipt": "none"}, tenant=TENANT)
    run = await answer(engine, run)

    assert run.output["done"] == "better yes none"
    assert run.output["notes"] == ["write", "mail", "one", "two", "ask"]


async def test_a_list_that_is_overwritten_twice_holds_what_came_last(
    engine: RunEngine, threads: Threads
) -> None:
    run = await ask(engine, "review-one")

    await threads.update_state(run.thread_id, {"notes": {"__overwrite__": ["a"]}}, tenant=TENANT)
    await threads.update_state(run.thread_id, {"notes": {"__overwrite__": []}}, tenant=TENANT)
    await threads.update_state(run.thread_id, {"notes": ["b"]}, tenant=TENANT)
    run = await answer(engine, run)

    assert run.output["notes"] == ["b", "ask"]


@pytest.mark.parametrize("values", [None, {}])
async def test_an_edit_of_nothing_leaves_the_question_as_it_was(
    engine: RunEngine, threads: Threads, values: Any
) -> None:
    run = await ask(engine, "review-one")

    await threads.update_state(run.thread_id, values, tenant=TENANT)

    assert (await answer(engine, run)).output["done"] == "HI yes mailed HI"


async def test_a_refused_edit_leaves_the_state_as_it_was(
    engine: RunEngine, threads: Threads
) -> None:
    run = await ask(engine, "review-one")

    with pytest.raises(Invalid):
        await threads.update_state(run.thread_id, {"draft": "better", "notes": 5}, tenant=TENANT)

    assert (await answer(engine, run)).output["done"] == "HI yes mailed HI"


async def test_an_edit_is_kept_when_its_run_is_cancelled(
    engine: RunEngine, threads: Threads, gates: NodeGates
) -> None:
    run = await ask(engine, "review-one")

    await threads.update_state(run.thread_id, {"draft": "better"}, tenant=TENANT)
    await engine.cancel(run.run_id, tenant=TENANT)

    assert (await threads.get_state(run.thread_id, tenant=TENANT))["values"]["draft"] == "better"
    again = await start(engine, "review-one", run.thread_id)
    assert [each["value"] for each in again.interrupts] == [{"approve": "better"}]
    assert (await answer(engine, again)).output["done"] == "better yes mailed HI"
    assert gates.entered["mail"] == 1


async def test_an_edit_is_kept_when_a_new_input_follows(
    engine: RunEngine, threads: Threads
) -> None:
    run = await ask(engine, "review-one")
    await threads.update_state(run.thread_id, {"notes": ["me"]}, tenant=TENANT)

    again = await start(engine, "review-one", run.thread_id, {"draft": "new"})

    assert (await threads.get_state(again.thread_id, tenant=TENANT))["values"]["notes"] == [
        "write",
        "mail",
        "me",
        "write",
        "mail",
    ]


async def test_edit_and_answer_survive_the_end_of_the_process(
    process: EngineFactory, gates: NodeGates
) -> None:
    async with process.engine() as engine:
        run = await ask(engine, "review-one")
    async with process.engine(crash=True):
        await process.threads.update_state(run.thread_id, {"draft": "better"}, tenant=TENANT)
    async with process.engine(crash=True) as engine:
        gates.hold("close")
        await engine.resume(run.run_id, "yes", tenant=TENANT)
        await gates.arrival("close")
    gates.release("close")

    async with process.engine() as engine:
        assert (await ended(engine, run.run_id)).output["done"] == "better yes mailed HI"
    assert gates.entered["mail"] == 1


async def test_an_edit_at_the_moment_of_the_question_waits_until_the_run_has_left(
    process: EngineFactory, engine: RunEngine, threads: Threads
) -> None:
    request = RunRequest(
        agent="review-one", input=DRAFT, tenant=TENANT, thread_id=str(uuid4()), create_thread=True
    )
    run = await engine.submit(request)
    assert (await read_events(engine, run.run_id))[-1]["type"] == "run.waiting"

    await threads.update_state(run.thread_id, {"draft": "better"}, tenant=TENANT)

    assert (await answer(engine, run)).output["done"] == "better yes mailed HI"


# an edit that leads elsewhere


async def test_an_edit_as_the_asked_step_is_gone_on_from_without_input(
    engine: RunEngine, threads: Threads, gates: NodeGates
) -> None:
    run = await ask(engine, "review-one")
    await threads.update_state(run.thread_id, {"draft": "better"}, tenant=TENANT)

    await threads.update_state(run.thread_id, {"verdict": "mine"}, as_node="ask", tenant=TENANT)

    assert (await threads.get_state(run.thread_id, tenant=TENANT))["next"] == ["close"]
    on = await start(engine, "review-one", run.thread_id)
    assert on.output["done"] == "better mine mailed HI"
    assert gates.entered == {"write": 1, "mail": 1, "close": 1}


async def test_an_edit_whose_checkpoint_cannot_be_written_writes_nothing(
    process: EngineFactory, engine: RunEngine, threads: Threads
) -> None:
    run = await ask(engine, "review-one")
    before = await threads.get_state(run.thread_id, tenant=TENANT)
    refuse = "BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'no room'); END"
    await process.database.write(Statement(f"CREATE TRIGGER refusing {refuse}"))

    with pytest.raises(sqlite3.DatabaseError, match="no room"):
        await threads.update_state(run.thread_id, {"draft": "x"}, as_node="ask", tenant=TENANT)

    await process.database.write(Statement("DROP TRIGGER refusing"))
    assert await threads.get_state(run.thread_id, tenant=TENANT) == before
    run = await answer(engine, run)
    assert run.output["done"] == "HI yes mailed HI"


async def test_the_answer_to_a_question_that_was_passed_over_is_kept_with_all_edits(
    engine: RunEngine, threads: Threads, gates: NodeGates
) -> None:
    run = await ask(engine, "review-one")
    await threads.update_state(run.thread_id, {"draft": "better"}, as_node="ask", tenant=TENANT)
    await threads.update_state(run.thread_id, {"receipt": "kept", "notes": ["me"]}, tenant=TENANT)

    run = await answer(engine, run, "no")

    assert run.output["done"] == "better no kept"
    assert run.output["notes"] == ["write", "mail", "me", "ask"]
    assert gates.entered == {"write": 1, "mail": 1, "close": 1}


async def test_an_edit_as_an_earlier_step_may_lead_past_the_question(
    engine: RunEngine, threads: Threads
) -> None:
    run = await ask(engine, "review-routed")

    await threads.update_state(run.thread_id, {"draft": "better"}, as_node="write", tenant=TENANT)
    assert (await threads.get_state(run.thread_id, tenant=TENANT))["interrupts"]
    await threads.update_state(run.thread_id, {"draft": "skip"}, as_node="write", tenant=TENANT)
    assert (await threads.get_state(run.thread_id, tenant=TENANT))["next"] == ["close"]

    assert (await start(engine, "review-routed", run.thread_id)).output["done"] == "skip"


async def test_an_answer_to_a_question_that_the_thread_has_left_is_refused(
    engine: RunEngine, threads: Threads, gates: NodeGates
) -> None:
    run = await ask(engine, "review-one")
    before_mail = (await threads.get_history(run.thread_id, tenant=TENANT))[1]
    assert before_mail["next"] == ["mail"]
    await threads.update_state(
        run.thread_id, {"draft": "fork"}, checkpoint_id=before_mail["checkpoint_id"], tenant=TENANT
    )

    with pytest.raises(Conflict) as refused:
        await engine.resume(run.run_id, "yes", tenant=TENANT)

    assert refused.value.code == "run_superseded"
    assert gates.entered["mail"] == 1
    on = await start(engine, "review-one", run.thread_id)
    assert [each["value"] for each in on.interrupts] == [{"approve": "fork"}]


async def test_a_fork_from_an_edited_question_holds_the_edit(
    engine: RunEngine, threads: Threads
) -> None:
    run = await ask(engine, "review-one")
    asked_at = run.interrupts[0]["checkpoint_id"]
    await threads.update_state(run.thread_id, {"draft": "better"}, tenant=TENANT)
    await answer(engine, run)

    await threads.update_state(
        run.thread_id, {"verdict": "fork"}, as_node="ask", checkpoint_id=asked_at, tenant=TENANT
    )

    on = await start(engine, "review-one", run.thread_id)
    assert on.output["done"] == "better fork mailed HI"


# several questions, and questions below


@pytest.mark.parametrize("as_node", [None, "write"])
async def test_an_edit_between_two_answers_keeps_all(
    engine: RunEngine, threads: Threads, gates: NodeGates, as_node: str | None
) -> None:
    run = await ask(engine, "review-beside")
    first, second = question(run, "approve"), question(run, "really")

    await threads.update_state(run.thread_id, {"draft": "better"}, as_node=as_node, tenant=TENANT)
    run = await answer(engine, run, {first: "yes"})
    await threads.update_state(run.thread_id, {"notes": ["me"]}, as_node=as_node, tenant=TENANT)
    run = await answer(engine, run, {second: "sure"})

    assert run.output["done"] == "better yes sure mailed HI"
    assert sorted(run.output["notes"]) == ["ask", "mail", "me", "write"]
    assert gates.entered == {"write": 1, "mail": 1, "close": 1}


async def test_an_edit_of_what_a_finished_step_beside_the_question_wrote_is_kept(
    engine: RunEngine, threads: Threads, gates: NodeGates
) -> None:
    run = await ask(engine, "review-beside")
    assert (await threads.get_state(run.thread_id, tenant=TENANT))["values"][
        "receipt"
    ] == "mailed HI"
    answers = {question(run, "approve"): 1, question(run, "really"): 2}

    await threads.update_state(run.thread_id, {"receipt": "lost", "notes": ["me"]}, tenant=TENANT)
    assert (await threads.get_state(run.thread_id, tenant=TENANT))["values"]["receipt"] == "lost"
    run = await answer(engine, run, answers)

    assert run.output["done"] == "HI 1 2 lost"
    assert run.output["notes"] == ["write", "mail", "me", "ask"]
    assert gates.entered["mail"] == 1


async def test_an_edit_as_one_of_two_asked_steps_loses_no_answer(
    engine: RunEngine, threads: Threads, gates: NodeGates
) -> None:
    run = await ask(engine, "review-beside")
    answers = {question(run, "approve"): "yes", question(run, "really"): "sure"}

    await threads.update_state(run.thread_id, {"draft": "better"}, as_node="ask", tenant=TENANT)
    run = await answer(engine, run, answers)

    assert run.output["done"] == "better yes sure mailed HI"
    assert gates.entered == {"write": 1, "mail": 1, "close": 1}


@pytest.mark.parametrize("as_node", [None, "write"])
async def test_an_edit_above_a_question_in_another_graph_does_nothing_again(
    engine: RunEngine, threads: Threads, gates: NodeGates, as_node: str | None
) -> None:
    run = await ask(engine, "review-below")

    await threads.update_state(run.thread_id, {"notes": ["me"]}, as_node=as_node, tenant=TENANT)
    run = await answer(engine, run)

    assert run.output["done"] == "HI yes mailed HI"
    assert "me" in run.output["notes"]
    assert gates.entered == {"write": 1, "mail": 1, "close": 1}


async def test_an_edit_of_a_copied_thread_is_its_own(engine: RunEngine, threads: Threads) -> None:
    run = await ask(engine, "review-one")
    await threads.update_state(run.thread_id, {"draft": "better"}, tenant=TENANT)

    copied = await threads.copy(run.thread_id, tenant=TENANT)
    await threads.update_state(copied["thread_id"], {"draft": "other"}, tenant=TENANT)

    on = await start(engine, "review-one", copied["thread_id"])
    assert [each["value"] for each in on.interrupts] == [{"approve": "other"}]
    assert (await answer(engine, run)).output["done"] == "better yes mailed HI"


# edits where nobody is asked


async def test_an_edit_after_a_failure_leaves_what_was_done(
    engine: RunEngine, threads: Threads
) -> None:
    thread_id = str(uuid4())
    failed = await start(engine, "failing", thread_id, {"x": 0})
    assert failed.status == "failed"

    await threads.update_state(thread_id, {"x": 5}, tenant=TENANT)

    state = await threads.get_state(thread_id, tenant=TENANT)
    assert (state["values"]["x"], state["next"]) == (5, ["boom"])
    assert (await start(engine, "failing", thread_id)).status == "failed"
    assert (await threads.get_state(thread_id, tenant=TENANT))["values"] == {"x": 5, "log": ["a"]}
