"""The errors with which a worker's start and calls end, apart from those of its handler."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import TimedOut, Unavailable
from models.workers.launch import describe_exit


def start_timed_out(name: str, timeout_s: float, stderr: Sequence[str]) -> TimedOut:
    """Make the error of a start that took too long."""
    return TimedOut(
        f"The worker '{name}' was not ready within {timeout_s:g} s.",
        code="worker_start_timed_out",
        details={"worker": name, "stderr": stderr},
    )


def call_timed_out(
    name: str, method: str, timeout_s: float | None, stderr: Sequence[str]
) -> TimedOut:
    """Make the error of a call that was not answered in time."""
    return TimedOut(
        f"The worker '{name}' did not answer '{method}' within {timeout_s:g} s.",
        code="worker_timed_out",
        details={"worker": name, "stderr": stderr},
    )


def out_of_memory(name: str, stderr: Sequence[str]) -> Unavailable:
    """Make the error of a worker that the kernel killed for want of memory."""
    return Unavailable(
        f"The system killed the worker '{name}', for the machine's memory ran out.",
        code="out_of_memory",
        details={"worker": name, "stderr": stderr},
    )


def stopped(name: str) -> Unavailable:
    """Make the error of a call to a worker that was stopped."""
    return Unavailable(f"The worker '{name}' was stopped.", code="worker_stopped")


def died(name: str, returncode: int | None, stderr: Sequence[str]) -> Unavailable:
    """Make the error of a call under which the worker died; no `returncode`: it lives, but its
    connection broke."""
    return Unavailable(
        f"The worker '{name}' ended unexpectedly ({describe_exit(returncode)}).",
        code="worker_died",
        details={"worker": name, "returncode": returncode, "stderr": stderr},
    )
