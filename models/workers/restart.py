"""More starts for a worker that was killed before it was ready."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from config.errors import Unavailable
from models.workers.process import WorkerProcess

log = logging.getLogger(__name__)

STARTS = 3


async def start_again_if_killed(start: Callable[[], Awaitable[WorkerProcess]]) -> WorkerProcess:
    """Start a worker, again when it died before it was ready: nobody's request is to blame.

    Raises what `start` raises, and `Unavailable` (`worker_start_failed`) when `STARTS` of them
    died.
    """
    for left in reversed(range(STARTS)):
        try:
            return await start()
        except Unavailable as error:
            if error.code != "worker_died":
                raise
            if not left:
                raise Unavailable(
                    error.message, code="worker_start_failed", details=error.details
                ) from error
            log.warning("%s It is started again.", error.message)
    raise AssertionError("the last start returns or raises")
