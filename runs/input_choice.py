"""Chooses what an attempt at a run begins with: the run's input, answers, or nothing.

Owns the difference between a run without input, which goes on where its thread has steps left, and
one with an empty input, which begins anew. Pure: what the thread holds is read by `execution`.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, TypeAlias

from runs.record import Run


@dataclass(frozen=True)
class NewInput:
    """Begin with the run's input, at this checkpoint of the thread, or at its latest one."""

    checkpoint_id: str | None = None


@dataclass(frozen=True)
class GoOn:
    """Do what is left at this checkpoint of the thread, or at its latest one."""

    checkpoint_id: str | None = None


@dataclass(frozen=True)
class Answers:
    """Go on at the latest checkpoint with these answers, by the ids of their questions."""

    answers: dict[str, Any]


InputChoice: TypeAlias = NewInput | GoOn | Answers


@dataclass(frozen=True)
class ThreadPosition:
    """Where a thread stands when an attempt begins."""

    latest_id: str | None = None
    """Its latest checkpoint."""
    latest_run_id: str | None = None
    """The run that made that one."""
    has_steps: bool = False
    """Whether steps follow on the checkpoint from which the run is to start."""
    answered: Set[str] = frozenset()
    """Questions whose answers a step has stored already."""


def choose_input(run: Run, thread: ThreadPosition) -> InputChoice:
    """Choose what the attempt begins with.

    (1) Answers that no step has taken yet: those. (2) The run has a checkpoint of its own: go on
    there. (3) The run has no input and steps are left where it starts: go on with them. (4) No
    checkpoint of the run was stored: its input.
    """
    if run.resume and run.resume["checkpoint_id"] == thread.latest_id:
        # An answer that a step has stored already would be taken for that of its next question.
        answers = run.resume["answers"]
        left = {id_: answer for id_, answer in answers.items() if id_ not in thread.answered}
        return Answers(left) if left else GoOn()  # (1), (2)
    if thread.latest_id is not None and thread.latest_run_id == run.run_id:
        return GoOn()  # (2)
    # At the latest checkpoint, named or not, steps that have finished are not done again.
    start = None if run.checkpoint_id == thread.latest_id else run.checkpoint_id
    if run.input is None and thread.has_steps:
        return GoOn(start)  # (3)
    return NewInput(start)  # (4)
