"""The calls a worker has not answered yet, by number.

Owns what arrived for each call until its caller takes it. Invariants: a call that nobody waits for
any more is cancelled in the worker; neither the calls nor the pieces of one grow without bound.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from config.errors import Busy, MotetError
from models.workers.protocol import Frame

MAX_OPEN = 1024
"""Calls of one worker that are not answered yet."""
MAX_PARTS = 1024
"""Pieces of one stream that its reader has not taken yet."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or a piece of one (`last` is False)."""

    header: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    last: bool = True


class PendingCall:
    """One call in flight: its pieces, then its end or its error."""

    def __init__(self, parts_wanted: bool = False) -> None:
        self.parts_wanted = parts_wanted
        self._arrived: deque[Reply | MotetError] = deque()
        self._wake = asyncio.Event()

    def put(self, item: Reply | MotetError) -> None:
        self._arrived.append(item)
        self._wake.set()

    @property
    def overrun(self) -> bool:
        return len(self._arrived) >= MAX_PARTS

    async def get(self) -> Reply:
        while not self._arrived:
            # No await stands between the look and the clear: no wake is lost.
            self._wake.clear()
            await self._wake.wait()
        item = self._arrived.popleft()
        if isinstance(item, MotetError):
            raise item
        return item


class Calls:
    """The open calls of one worker, by number. `write` sends a frame to it."""

    def __init__(self, write: Callable[[Frame], None]) -> None:
        self._write = write
        self._open: dict[int, PendingCall] = {}

    def open(self, request: Frame, parts_wanted: bool) -> PendingCall:
        """Send the request; its `PendingCall` gets what comes back. Raises `Busy` when full."""
        if len(self._open) >= MAX_OPEN:
            raise Busy(f"The worker has {MAX_OPEN} requests waiting already.", code="queue_full")
        call = PendingCall(parts_wanted)
        self._write(request)
        self._open[request.id] = call
        return call

    def close(self, id: int) -> None:
        """Forget a call nobody waits for any more: an unanswered one is cancelled in the worker."""
        if self._open.pop(id, None):
            self._write(Frame("cancel", id))

    def receive(self, frame: Frame, answer: Reply | MotetError) -> None:
        call = self._open.get(frame.id)
        if call is None:
            return  # the caller gave up while the answer was on its way
        if frame.kind != "part":
            # Before the caller wakes and closes the call, which must not cancel what is answered.
            self._open.pop(frame.id)
            call.put(answer)
        elif call.parts_wanted and call.overrun:
            self.close(frame.id)
            call.put(Busy("The reader of this stream is too slow.", code="stream_overrun"))
        elif call.parts_wanted:
            call.put(answer)

    def fail(self, error: Callable[[], MotetError]) -> None:
        """End each open call with an error of its own."""
        calls, self._open = self._open, {}
        for call in calls.values():
            call.put(error())
