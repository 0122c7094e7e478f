"""The server's end of the reading worker: started when it is needed, ended when it hangs.

Owns the bounds on time and memory, and how a reader's failure becomes the document's: whatever a
parser does with a document is `Invalid`, never the server's failure. Parsing is the worker's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from indexes.reading.chunks import Chunk
from indexes.reading.content import unreadable_document
from models.workers.on_demand import OnDemandWorker
from models.workers.parsing import blame_file
from models.workers.process import Reply

READER_VERSION = 3
"""Raise it when reading or cutting changes: documents read by an older one are read again."""
MEMORY_BYTES = 2 * 2**30
"""The most that the worker may take."""
TIMEOUT_S = 60.0
"""For any document."""
TIMEOUT_PER_MIB_S = 3.0
"""In addition for each MiB of a document."""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as text with its passages."""

    text: str
    title: str
    media_type: str
    metadata: dict[str, Any]
    chunks: list[Chunk]


class DocumentReader:
    """Reads documents one at a time in a process of its own. `close` ends it."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self._timeout_s = timeout_s
        self._worker = OnDemandWorker(
            "indexes.reading.worker:ReadHandler",
            name="reader",
            options={"memory_bytes": memory_bytes},
        )

    async def read(
        self,
        data: bytes,
        filename: str,
        media_type: str | None,
        chunk_words: int,
        *,
        tenant: str,
        caption: str | None = None,
    ) -> ParsedDocument:
        """Read a document and cut it into passages of about `chunk_words` words.

        Waits its turn: the worker reads one document at a time, of one tenant after the other, each
        in a process of its own. Raises `Invalid` for a document
        that cannot be read, however it goes wrong: `needs_caption_model` for an image without a
        `caption`, `unsupported_document`, else `unreadable_document`. Raises `Unavailable` once
        closed.
        """
        header: dict[str, object] = {
            "filename": filename,
            "media_type": media_type,
            "chunk_words": chunk_words,
            "caption": caption,
        }
        return _parsed_document(await self._call(header, data, tenant))

    async def close(self) -> None:
        """End the worker; a read in progress fails with `Unavailable`."""
        await self._worker.close()

    async def _call(self, header: dict[str, object], data: bytes, tenant: str) -> Reply:
        filename = str(header["filename"])
        timeout_s = self._timeout_s + TIMEOUT_PER_MIB_S * len(data) / 2**20
        with blame_file(partial(unreadable_document, filename), timeout_s):
            return await self._worker.call("read", header, data, timeout_s=timeout_s, client=tenant)


def _parsed_document(reply: Reply) -> ParsedDocument:
    size = reply.header["text_bytes"]
    chunks = [
        Chunk(span["start"], span["end"], tuple(span["heading"]), span["page"])
        for span in orjson.loads(reply.body[size:])
    ]
    text = reply.body[:size].decode()
    about = reply.header
    return ParsedDocument(text, about["title"], about["media_type"], about["metadata"], chunks)
