"""The wire between the server and a worker: a JSON header and raw bytes, length-prefixed.

Kinds from the server: `init`, `call`, `cancel`, `stop`. Kinds from the worker: `ready`, `part`
(a streamed piece), `end` (the last piece), `error`, `heartbeat`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

import orjson

from config.errors import MotetError

PREFIX = struct.Struct("!IQ")
"""The lengths of header and body, in network order."""
MAX_HEADER_BYTES = 64 * 2**20
MAX_BODY_BYTES = 4 * 2**30

_FULL = re.compile(
    r"out of memory|can't allocate memory|CUDNN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED"
    r"|OUT_OF_(DEVICE|HOST)_MEMORY",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; `id` joins the frames of one call, `header` and `body` are the caller's."""

    kind: str
    id: int = 0
    method: str = ""
    urgent: bool = False
    header: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""

    def head(self) -> bytes:
        """Write everything that precedes the body, which is sent as it is, uncopied."""
        header = orjson.dumps([self.kind, self.id, self.method, self.urgent, self.header])
        return PREFIX.pack(len(header), len(self.body)) + header


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """Read the next frame; None when the other end is gone."""
    try:
        header_bytes, body_bytes = _lengths(await reader.readexactly(PREFIX.size))
        header = await reader.readexactly(header_bytes)
        return _frame(header, await reader.readexactly(body_bytes))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def receive_frame(connection: socket.socket) -> Frame | None:
    """Read the next frame with blocking calls; None when the other end is gone."""
    try:
        header_bytes, body_bytes = _lengths(_exactly(connection, PREFIX.size))
        header = _exactly(connection, header_bytes)
        return _frame(header, bytes(_exactly(connection, body_bytes)))
    except (EOFError, OSError):
        return None


def _exactly(connection: socket.socket, count: int) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        received = connection.recv_into(view)
        if not received:
            raise EOFError
        view = view[received:]
    return data


def _lengths(prefix: bytes | bytearray) -> tuple[int, int]:
    header_bytes, body_bytes = PREFIX.unpack(prefix)
    if header_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
        raise ConnectionError(f"frame of {header_bytes} + {body_bytes} bytes refused")
    return header_bytes, body_bytes


def _frame(header: bytes | bytearray, body: bytes) -> Frame:
    kind, id, method, urgent, fields = orjson.loads(header)
    return Frame(kind, id, method, urgent, fields, body)


def ran_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception says that a device is full: by its type, else by its words."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, MemoryError) or "OutOfMemoryError" in names:
        return True
    return isinstance(error, RuntimeError) and bool(_FULL.search(str(error)))


def error_header(error: Exception) -> dict[str, Any]:
    """Write an exception of a handler as the header of an `error` frame."""
    if isinstance(error, MotetError):
        return error.as_whole()
    message = f"{type(error).__name__}: {error}"
    return {
        "family": "unavailable",
        "code": "out_of_memory" if ran_out_of_memory(error) else "worker_failed",
        "message": message[:4000],
        "details": {"type": type(error).__name__},
    }


def error_from(header: dict[str, Any]) -> MotetError:
    """Read the same error on the side of the server."""
    return MotetError.from_dict(header)
