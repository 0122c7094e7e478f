"""Bodies that come compressed: gzip, as tools send it, inflated piece by piece.

Invariant: no more than `PIECE_BYTES` are inflated at once, so that a small body that inflates to a
large one neither fills memory before it is counted nor holds up the event loop.
"""

from __future__ import annotations

import asyncio
import zlib

from starlette.types import Message, Receive

from config.errors import Invalid

CODINGS = (b"gzip", b"x-gzip")
PIECE_BYTES = 256 * 1024
GZIP_WINDOW_BITS = 31
"""zlib's way of saying: the largest window, in gzip's format."""


class GzipReceive:
    """Receives a body that is sent in gzip, inflated. Raises `Invalid` (`malformed_body`)."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._inflater = zlib.decompressobj(GZIP_WINDOW_BITS)
        self._compressed = b""
        self._more_body = True
        self._is_pending = False
        """Whether the inflater holds back what did not fit into the last piece."""
        self._is_begun = False
        self._is_ended = False

    async def __call__(self) -> Message:
        while not (self._compressed or self._is_pending):
            if not self._more_body and not self._is_ended:
                return self._end()
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._compressed = message.get("body", b"")
            self._more_body = message.get("more_body", False)
        piece = self._inflate()
        # What is inflated without waiting for the network must let others have their turn.
        await asyncio.sleep(0)
        return {"type": "http.request", "body": piece, "more_body": True}

    def _inflate(self) -> bytes:
        self._is_begun = True
        # A body may have several members of gzip, one behind another.
        if self._inflater.eof:
            self._inflater = zlib.decompressobj(GZIP_WINDOW_BITS)
        try:
            piece = self._inflater.decompress(self._compressed, PIECE_BYTES)
        except zlib.error as error:
            raise _malformed("it is no gzip") from error
        self._compressed = self._inflater.unconsumed_tail or self._inflater.unused_data
        self._is_pending = len(piece) == PIECE_BYTES and not self._inflater.eof
        return piece

    def _end(self) -> Message:
        self._is_ended = True
        if self._is_begun and not self._inflater.eof:
            raise _malformed("it is cut off")
        return {"type": "http.request", "body": b"", "more_body": False}


def _malformed(reason: str) -> Invalid:
    return Invalid(
        f"The body says that it is sent in gzip, but {reason}.",
        code="malformed_body",
        details={"field": "body"},
    )
