"""Long work as server-sent events: its progress, then its report or its error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from config.errors import MotetError
from config.settings import Settings
from runs.events import dumps
from server.http.sse import FORMAT, EventStream

Tell = Callable[[Any], None]
Work = Callable[[Tell], Awaitable[Any]]
"""Given a listener for its progress (data classes), the work; its report has `as_dict`."""


async def respond(work: Work, accept: str, settings: Settings, name: str) -> Response:
    """The answer to a request for work: its report, or events where those are accepted."""
    if accept.startswith(FORMAT):
        return EventStream(progress_chunks(work, name), heartbeat_s=settings.heartbeat_s)
    report = await work(lambda progress: None)
    return Response(dumps(report.as_dict()), media_type="application/json")


async def progress_chunks(work: Work, name: str) -> AsyncIterator[tuple[bytes, bool]]:
    """Frames for `sse.EventStream`. Work whose reader leaves is cancelled; `name` is its task's."""
    news: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.ensure_future(work(news.put_nowait))
    if isinstance(task, asyncio.Task):
        task.set_name(name)
    task.add_done_callback(lambda _: news.put_nowait(None))
    try:
        while (progress := await news.get()) is not None:
            yield _frame("progress", asdict(progress))
        yield _frame("finished", (await task).as_dict())
    except MotetError as error:
        yield _frame("failed", error.as_dict())
    finally:
        task.cancel()


def _frame(type_: str, data: Any) -> tuple[bytes, bool]:
    return b"event: %s\ndata: %s\n\n" % (type_.encode(), dumps(data)), type_ != "progress"
