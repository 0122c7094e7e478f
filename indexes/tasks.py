"""Starts background tasks whose failure is logged, and ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from config.errors import NotFound

log = logging.getLogger(__name__)


def spawn_logged(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a task for `work`; the log says when it fails."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


async def cancel_and_wait(tasks: Sequence[asyncio.Task[None] | None]) -> None:
    """Cancel the tasks that still run, and wait until they have ended."""
    running = [task for task in tasks if task and not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


def _log_failure(task: asyncio.Task[None]) -> None:
    # `NotFound`: the index was deleted under the task, which is no failure.
    if not task.cancelled() and not isinstance(error := task.exception(), NotFound | None):
        log.error("%s failed: %s", task.get_name(), error, exc_info=error)
