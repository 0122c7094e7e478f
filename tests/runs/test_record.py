"""A run's status moves as the table of transitions says, and in no other way."""

from __future__ import annotations

import ast
import itertools
import logging
from pathlib import Path
from typing import get_args

import pytest

from runs.record import TRANSITIONS, IllegalTransition, Run, RunStatus

STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
MOVES = list(itertools.product(STATUSES, STATUSES))
ROOT = Path(__file__).parents[2]


def run_that_is(status: RunStatus) -> Run:
    return Run(
        run_id="r1",
        tenant="default",
        agent="three",
        version="1",
        thread_id="r1",
        own_thread=True,
        status=status,
        attempt=1,
        input={},
        created_at=0.0,
        resume={"answers": {}},
        interrupts=[{"id": "q", "value": "ok?"}],
    )


@pytest.mark.parametrize(("status", "next_"), [m for m in MOVES if m[1] in TRANSITIONS[m[0]]])
def test_a_move_of_the_table_is_made(status: RunStatus, next_: RunStatus) -> None:
    run = run_that_is(status)

    run.transition(next_, "test")

    assert run.status == next_


@pytest.mark.parametrize(("status", "next_"), [m for m in MOVES if m[1] not in TRANSITIONS[m[0]]])
def test_a_move_that_the_table_has_not_is_refused(status: RunStatus, next_: RunStatus) -> None:
    run = run_that_is(status)

    with pytest.raises(IllegalTransition, match=f"r1 is {status} and cannot become {next_}"):
        run.transition(next_, "test")

    assert run == run_that_is(status)


def test_a_queued_run_that_starts_is_stamped_in_its_first_attempt() -> None:
    run = run_that_is("queued")

    run.transition("running", "test")

    assert run.attempt == 1
    assert run.started_at


@pytest.mark.parametrize("status", ["running", "waiting"])
def test_a_run_that_goes_on_has_its_next_attempt(status: RunStatus) -> None:
    run = run_that_is(status)

    run.transition("running", "recovered")

    assert run.attempt == 2


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled"])
def test_a_run_that_ends_is_stamped_and_asks_nothing_more(status: RunStatus) -> None:
    run = run_that_is("running")

    run.transition(status, "test")

    assert run.ended
    assert run.ended_at
    assert (run.interrupts, run.resume) == ([], None)


def test_a_move_is_logged_with_the_run_and_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    run_that_is("waiting").transition("cancelled", "superseded")

    assert caplog.messages == ["run r1 cancelled: superseded (attempt 1)"]


def test_no_other_code_assigns_the_status_of_a_run() -> None:
    assigning = [
        (file.name, node.lineno)
        for package in ("runs", "server")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr == "status"
    ]

    assert {name for name, _ in assigning} <= {"record.py"}
    assert len(assigning) == 1
