"""Long work over HTTP: its progress as server-sent events, then its report or its error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from config.errors import MotetError
from config.settings import Settings
from server.http.negotiation import prefers_events
from server.http.responses import json_response
from server.http.sse import EventStream, SSEChunk, format_event

ReportProgress = Callable[[Any], None]
"""Takes a data class that says how far the work is."""
Work = Callable[[ReportProgress], Awaitable[Any]]
"""Work that reports its progress; its result has `as_dict`."""


async def respond(work: Work, accept: str, settings: Settings, name: str) -> Response:
    """Answer a request for work: with its report, or with events where those are accepted.

    `name` is that of the task that does the work.
    """
    if prefers_events(accept):
        return EventStream(progress_chunks(work, name), heartbeat_s=settings.heartbeat_s)
    report = await work(lambda progress: None)
    return json_response(report.as_dict())


async def progress_chunks(work: Work, name: str) -> AsyncGenerator[SSEChunk]:
    """Do the work in a task and yield its events: `progress`, then `finished` or `failed`.

    The work is cancelled when its reader leaves, which closes this generator.
    """
    queue: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.ensure_future(work(queue.put_nowait))
    if isinstance(task, asyncio.Task):
        task.set_name(name)
    # None behind all progress: the queue keeps the order, so nothing is lost at the end.
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (progress := await queue.get()) is not None:
            yield SSEChunk(format_event("progress", asdict(progress)))
        yield SSEChunk(format_event("finished", (await task).as_dict()), last=True)
    except MotetError as error:
        yield SSEChunk(format_event("failed", error.as_dict()), last=True)
    finally:
        task.cancel()
