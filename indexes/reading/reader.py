"""The server's end of the reading worker: started when it is needed, ended when it hangs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from config.errors import MotetError, TimedOut, Unavailable
from indexes.reading.chunks import Chunk
from indexes.reading.documents import unreadable
from models.workers.process import Reply, WorkerProcess

READER_VERSION = 3
"""Raise it when reading or cutting changes: documents read by an older one are read again."""
MEMORY_BYTES = 2 * 2**30
TIMEOUT_S = 60.0
TIMEOUT_PER_MIB_S = 3.0
IDLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as text with its passages."""

    text: str
    title: str
    media_type: str
    metadata: dict[str, Any]
    chunks: list[Chunk]


class Reader:
    """Reads documents one at a time in a process of its own. `close` ends it."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._closed = False
        self._worker: WorkerProcess | None = None
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def read(
        self,
        data: bytes,
        filename: str,
        media_type: str | None,
        chunk_words: int,
        *,
        caption: str | None = None,
    ) -> Reading:
        """Raises `Invalid` for a document that cannot be read, however it goes wrong: for an image
        without a `caption`, `needs_caption_model`."""
        header: dict[str, object] = {
            "filename": filename,
            "media_type": media_type,
            "chunk_words": chunk_words,
            "caption": caption,
        }
        # One at a time, so that the bound on time is the document's own.
        async with self._turn:
            self._stay()
            try:
                reply = await self._call(header, data)
            finally:
                self._leave_later()
        return _reading(reply)

    async def close(self) -> None:
        """End the worker; a read in progress fails with `Unavailable`."""
        self._closed = True
        self._stay()
        if self._worker:
            await self._worker.stop(grace_s=0)

    async def _call(self, header: dict[str, object], data: bytes) -> Reply:
        worker = await self._running()
        filename = str(header["filename"])
        timeout_s = self._timeout_s + TIMEOUT_PER_MIB_S * len(data) / 2**20
        try:
            return await worker.call("read", header, data, timeout_s=timeout_s)
        except TimedOut as error:
            worker.kill()
            raise unreadable(filename, f"reading it took more than {timeout_s:.0f} s") from error
        except Unavailable as error:
            if error.code == "out_of_memory":
                raise unreadable(filename, "reading it takes too much memory") from error
            if error.code in ("worker_died", "worker_error"):
                raise unreadable(filename, f"its reader failed ({error.message})") from error
            raise

    async def _running(self) -> WorkerProcess:
        if self._closed:
            raise Unavailable("The indexes are being closed.", code="shutting_down")
        if self._worker is None or self._worker.exited.done():
            self._worker = await WorkerProcess.start(
                "indexes.reading.worker:Reader",
                name="reader",
                options={"memory_bytes": self._memory_bytes},
            )
        return self._worker

    def _stay(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None

    def _leave_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(IDLE_S, self._leave)

    def _leave(self) -> None:
        self._ending = asyncio.create_task(self._end_idle(), name="indexes reader: idle")

    async def _end_idle(self) -> None:
        async with self._turn:
            # Meanwhile it may have been wanted again, and then leaves later.
            if self._worker and self._idle and self._idle.when() <= self._now():
                worker, self._worker = self._worker, None
                try:
                    await worker.stop(grace_s=0)
                except MotetError:  # it is gone either way
                    return

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _reading(reply: Reply) -> Reading:
    size = reply.header["text_bytes"]
    chunks = [
        Chunk(span["start"], span["end"], tuple(span["heading"]), span["page"])
        for span in orjson.loads(reply.body[size:])
    ]
    text = reply.body[:size].decode()
    about = reply.header
    return Reading(text, about["title"], about["media_type"], about["metadata"], chunks)
