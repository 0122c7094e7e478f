"""The requests waiting in a worker: urgent ones first, cancelled ones gone."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Any

from config.errors import Cancelled
from models.workers.protocol import Frame

Send = Callable[[Frame], None]


class TaskHandle:
    """One request as its handler sees it."""

    def __init__(self, frame: Frame, send: Send) -> None:
        self.frame = frame
        self._send = send
        self._cancelled = threading.Event()

    def emit(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a piece of the answer before its end.

        Raises `Cancelled` when nobody waits any more: it ends a handler that does not look.
        """
        if self.cancelled():
            raise Cancelled("The caller gave up.")
        self._send(Frame("part", self.frame.id, header=header, body=body))

    def cancelled(self) -> bool:
        """True when nobody waits for the answer any more: stop at the next good place."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        self._cancelled.set()


class Inbox:
    """A priority queue between the thread that reads frames and the one that handles them."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._changed = threading.Condition()
        self._waiting: list[tuple[bool, int, TaskHandle]] = []
        self._order = itertools.count()
        self._open: dict[int, TaskHandle] = {}
        self._closed = False

    def put(self, frame: Frame) -> None:
        task = TaskHandle(frame, self._send)
        with self._changed:
            self._open[frame.id] = task
            heapq.heappush(self._waiting, (not frame.urgent, next(self._order), task))
            self._changed.notify()

    def cancel(self, id: int) -> None:
        with self._changed:
            if task := self._open.get(id):
                task.cancel()

    def close(self) -> None:
        """Hand out nothing more and tell what runs to stop."""
        with self._changed:
            self._closed = True
            for task in self._open.values():
                task.cancel()
            self._changed.notify()

    def take(self, batched: frozenset[str], limit: int) -> list[TaskHandle]:
        """Wait for the next request, with its like where they are handled together.

        An empty list says that the inbox was closed.
        """
        with self._changed:
            while not self._closed:
                if tasks := self._next(batched, limit):
                    return tasks
                self._changed.wait()
            return []

    def done(self, tasks: list[TaskHandle]) -> None:
        with self._changed:
            for task in tasks:
                self._open.pop(task.frame.id, None)

    def _next(self, batched: frozenset[str], limit: int) -> list[TaskHandle]:
        first = self._pop()
        if first is None or first.frame.method not in batched:
            return [first] if first else []
        like, others = [first], []
        while len(like) < limit and self._waiting:
            entry = heapq.heappop(self._waiting)
            task = entry[2]
            if task.cancelled():
                self._open.pop(task.frame.id, None)
            elif (
                task.frame.method == first.frame.method and task.frame.urgent == first.frame.urgent
            ):
                like.append(task)
            else:
                others.append(entry)
        for entry in others:
            heapq.heappush(self._waiting, entry)
        return like

    def _pop(self) -> TaskHandle | None:
        while self._waiting:
            task = heapq.heappop(self._waiting)[2]
            if not task.cancelled():
                return task
            self._open.pop(task.frame.id, None)
        return None
