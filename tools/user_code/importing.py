"""Importing files of users within a bound: one that never ends holds up nobody else.

Owns the threads in which they are imported. A thread cannot be ended, so one whose import takes too
long stays; while it does, the same text is refused at once instead of being begun again.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from tools.user_code.guard import UserCodeError

IMPORT_TIMEOUT_S = 60.0
"""Libraries that read gigabytes take half of it."""

Result = TypeVar("Result")


def import_in_time(name: str, work: Callable[[], Result]) -> Result:
    """Run an import and wait for it, `IMPORT_TIMEOUT_S` at most. Blocks.

    `name` tells the file and its text. Raises what the import raises, and `UserCodeError` for one
    that takes longer.
    """
    label = f"import {name}"
    if any(thread.name == label for thread in threading.enumerate()):
        raise UserCodeError("importing it takes too long: it is still under way.")
    outcome: list[Result | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    context = contextvars.copy_context()
    # A daemon: what never ends must not keep the process from ending.
    thread = threading.Thread(target=context.run, args=(run,), name=label, daemon=True)
    thread.start()
    thread.join(IMPORT_TIMEOUT_S)
    if not outcome:
        limit = f"{IMPORT_TIMEOUT_S:g} s"
        raise UserCodeError(f"importing it takes longer than {limit}: do in a function what may.")
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
