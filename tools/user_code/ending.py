"""How long code of users may go on when it is to end.

Owns whether the run around the code that runs now is cancelled, which whoever runs it says.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

OUTLAST_S = 30.0
"""When another step fails, what is at work is waited for so long, and its result kept."""
OUTLAST_CANCELLED_S = 2.0
"""When its run is cancelled, a function at work in a thread is waited for so long."""
CLEAN_UP_S = 8.0
"""A coroutine that is cancelled has so much longer, to clean up."""

IS_RUN_CANCELLED: ContextVar[Callable[[], bool]] = ContextVar(
    "whether the run is cancelled", default=lambda: False
)
"""Tells for the code that runs now whether its whole run is to end."""


def outlast_s() -> float:
    """Return for how long a function at work is waited for when its caller is cancelled."""
    return OUTLAST_CANCELLED_S if IS_RUN_CANCELLED.get()() else OUTLAST_S
