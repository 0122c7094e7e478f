"""The errors that end a request about a run: why it is refused, and what to do."""

from __future__ import annotations

from config.errors import Busy, Conflict, NotFound
from runs.held import HeldRun
from runs.record import Run, thread_id_of


def run_not_found(run_id: str) -> NotFound:
    """Build the refusal of a run that does not exist, or is another tenant's."""
    return NotFound(f"There is no run {run_id}.", code="run_not_found", details={"field": "run_id"})


def not_waiting(run: Run) -> Conflict:
    """Build the refusal of an answer to a run that asks nothing."""
    message = f"Run {run.run_id} does not wait for an answer: it is {run.status}."
    return _conflict(run, code="run_not_waiting", message=message)


def superseded(run: Run, by_run_id: str) -> Conflict:
    """Build the refusal of an answer to a run that gives way to the next one on its thread."""
    return Conflict(
        f"Run {run.run_id} gives way to run {by_run_id}, which begins on its thread now.",
        code="run_superseded",
        details={"field": "run_id", "run_id": by_run_id},
    )


def not_held(run: Run) -> Conflict:
    """Build the refusal to take up a run that is not held."""
    return _conflict(
        run, code="run_not_held", message=f"Run {run.run_id} is not held: it is {run.status}."
    )


def has_ended(run: Run) -> Conflict:
    """Build the refusal to cancel a run that has ended."""
    return _conflict(
        run, code="run_ended", message=f"Run {run.run_id} has ended already: it is {run.status}."
    )


def has_not_ended(run: Run) -> Conflict:
    """Build the refusal to delete a run that may still change."""
    return _conflict(
        run, code="run_not_ended", message=f"Run {run.run_id} is {run.status}: cancel it first."
    )


def thread_held(held: HeldRun) -> Conflict:
    """Build the refusal of a run on a thread whose last one is held."""
    return Conflict(
        f"Run {held.run_id} is held on thread {thread_id_of(held.thread_key)}: resume or cancel it "
        "first.",
        code="thread_busy",
        details={"field": "thread_id", "run_id": held.run_id},
    )


def too_many_runs() -> Busy:
    """Build the refusal of a run beyond those that are accepted."""
    return Busy(
        "As many runs are under way or wait as are accepted; try again later.",
        code="too_many_runs",
        retry_after_s=2,
    )


def _conflict(run: Run, *, code: str, message: str) -> Conflict:
    return Conflict(message, code=code, details={"field": "run_id", "status": run.status})
