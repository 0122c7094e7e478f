"""The reading worker: parses documents that came from anywhere, away from the server's process.

A parser that hangs, or takes all memory, is ended with its worker; nothing else is lost.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson

from indexes.reading.chunks import cut_into_chunks
from indexes.reading.documents import read
from models.workers.host import TaskHandle
from models.workers.limits import limit_memory


class ReadHandler:
    """Runs in a worker process. Options: `memory_bytes`, the most that it may take."""

    def __init__(self, options: dict[str, Any]) -> None:
        limit_memory(options["memory_bytes"])

    def handle(
        self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle
    ) -> tuple[dict[str, Any], bytes]:
        """Handle `read`: from a document's bytes to its text and, as JSON, where its chunks are.

        The header of the reply holds title, media type, metadata and `text_bytes`; the body is the
        text in UTF-8, then the chunks.
        """
        content = read(body, header["filename"], header["media_type"], caption=header["caption"])
        chunks = cut_into_chunks(content, header["chunk_words"])
        facts: dict[str, Any] = {
            "title": content.title,
            "media_type": content.media_type,
            "metadata": dict(content.metadata),
        }
        # JSON in the body too: a header is bounded, and a long document has many chunks.
        spans = orjson.dumps([asdict(chunk) for chunk in chunks])
        text = content.text.encode("utf-8")
        return facts | {"text_bytes": len(text)}, text + spans
