"""What an attempt at a run begins with."""

from __future__ import annotations

from typing import Any

import pytest

from runs.input_choice import Answers, GoOn, NewInput, ThreadPosition, choose_input
from runs.record import Run


def run_with(input: Any, **more: Any) -> Run:
    fields: dict[str, Any] = {
        "run_id": "me",
        "tenant": "t",
        "agent": "a",
        "version": "v",
        "thread_id": "thread",
        "own_thread": False,
        "status": "running",
        "attempt": 1,
        "input": input,
        "created_at": 0.0,
    }
    return Run(**{**fields, **more})


LEFT = ThreadPosition("c2", "other", has_steps=True)
DONE = ThreadPosition("c2", "other", has_steps=False)


@pytest.mark.parametrize("input", [{}, [], "", 0, False])
def test_an_empty_input_is_an_input(input: Any) -> None:
    assert choose_input(run_with(input), LEFT) == NewInput()


def test_a_run_without_input_goes_on_where_steps_are_left() -> None:
    assert choose_input(run_with(None), LEFT) == GoOn()


def test_a_run_without_input_begins_anew_where_none_are_left() -> None:
    assert choose_input(run_with(None), DONE) == NewInput()


def test_an_older_checkpoint_is_where_the_run_goes_on() -> None:
    assert choose_input(run_with(None, checkpoint_id="c1"), LEFT) == GoOn("c1")
    assert choose_input(run_with({}, checkpoint_id="c1"), LEFT) == NewInput("c1")


def test_the_latest_checkpoint_is_no_travel_in_time() -> None:
    assert choose_input(run_with(None, checkpoint_id="c2"), LEFT) == GoOn()
    assert choose_input(run_with({}, checkpoint_id="c2"), LEFT) == NewInput()


@pytest.mark.parametrize("input", [None, {}])
def test_a_run_with_a_checkpoint_of_its_own_goes_on_there(input: Any) -> None:
    own = ThreadPosition("c3", "me", has_steps=True)

    assert choose_input(run_with(input, attempt=2, checkpoint_id="c1"), own) == GoOn()


def test_answers_are_taken_on_the_checkpoint_of_another_run() -> None:
    """Where the run has gone on from there, and asked before its first checkpoint."""
    run = run_with(None, attempt=2, resume={"checkpoint_id": "c2", "answers": {"q": None}})

    assert choose_input(run, LEFT) == Answers({"q": None})


def test_an_answer_that_a_step_has_stored_is_not_given_again() -> None:
    resume = {"checkpoint_id": "c2", "answers": {"q1": 1, "q2": 2}}
    run = run_with({}, attempt=2, resume=resume)
    one = ThreadPosition("c2", "me", True, frozenset({"q1"}))
    both = ThreadPosition("c2", "me", True, frozenset({"q1", "q2"}))

    assert choose_input(run, one) == Answers({"q2": 2})
    assert choose_input(run, both) == GoOn()
