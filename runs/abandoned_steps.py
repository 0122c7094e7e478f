"""Keeps steps that a cancellation abandons out of the event loop's errors.

LangGraph puts a question, or a failure, of a step that had begun others into a future of its own.
Where the run is cancelled before that is read, the loop reports it when it is collected, with
questions and states of the run in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langgraph.errors import GraphBubbleUp

log = logging.getLogger(__name__)


@contextmanager
def ignore_abandoned_steps() -> Iterator[None]:
    """Ignore abandoned questions in the running loop; all else goes where it went before."""
    loop = asyncio.get_running_loop()
    previous = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), GraphBubbleUp):
            log.debug("a cancelled step had asked: %s", context["message"])
        elif previous:
            previous(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(previous)
