"""Background tasks that are named, watched and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from config.errors import NotFound

log = logging.getLogger(__name__)


def spawn_logged(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task for `work`; the log says when it fails."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


async def cancel_and_wait(tasks: Sequence[asyncio.Task[None] | None]) -> None:
    """Cancel what still runs, and wait until it has ended."""
    running = [task for task in tasks if task and not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


def _log_failure(task: asyncio.Task[None]) -> None:
    # The index may have been deleted meanwhile.
    if not task.cancelled() and not isinstance(error := task.exception(), NotFound | None):
        log.error("%s failed: %s", task.get_name(), error, exc_info=error)
