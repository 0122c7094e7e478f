"""Bytes that no client library sends, and clients that stop in the middle."""

from __future__ import annotations

import asyncio

import httpx

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
LONG_S = 2.0
"""How long a client that has stopped stays connected."""

BYTES: dict[str, bytes] = {
    "no HTTP": b"garbage\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "proxy": b"CONNECT example.org:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "null in a header": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "folded header": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "header without a name": b"GET /health HTTP/1.1\r\n: x\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "no host": b"GET /agents HTTP/1.1\r\n\r\n",
    "many headers": b"GET /health HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 20_000 + b"\r\n",
    "endless header": b"GET /health HTTP/1.1\r\nX: " + b"a" * 2_000_000,
    "endless path": b"GET /" + b"a" * 2_000_000,
    "length and chunks": b"POST /threads HTTP/1.1\r\n" + HOST + JSON
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /threads HTTP/1.1\r\n" + HOST + JSON
    + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "negative length": b"POST /threads HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: -1\r\n\r\n",
    "huge length": b"POST /threads HTTP/1.1\r\n" + HOST + JSON
    + b"Content-Length: 99999999999999999\r\n\r\n",
    "chunk of no size": b"POST /threads HTTP/1.1\r\n" + HOST + JSON
    + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "chunk that is huge": b"POST /threads HTTP/1.1\r\n" + HOST + JSON
    + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    "other protocol": b"POST /threads HTTP/1.1\r\n" + HOST + JSON
    + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
    "web socket": b"GET /models/events HTTP/1.1\r\n" + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    "pipelined": (b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 50,
    "expects": b"POST /threads HTTP/1.1\r\n" + HOST + JSON
    + b"Expect: 200-maybe\r\nContent-Length: 2\r\n\r\n{}",
}  # fmt: skip

HALF: dict[str, bytes] = {
    "half a head": b"GET /agents HTTP/1.1\r\nHost: loc",
    "half a body": b"POST /threads HTTP/1.1\r\n" + HOST + JSON + b'Content-Length: 99\r\n\r\n{"a',
    "half a chunk": b"POST /agents HTTP/1.1\r\n" + HOST + b"Content-Type: application/yaml\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nFF\r\nname:",
    "half a form": b"POST /artifacts HTTP/1.1\r\n" + HOST
    + b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 9999\r\n\r\n--B\r\nCont",
    "nothing": b"",
    "events unread": b"GET /models/events HTTP/1.1\r\n" + HOST + b"\r\n",
    "pages unread": (b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 500,
}  # fmt: skip


async def send_bytes(url: str, data: bytes) -> httpx.Response | None:
    """Send bytes and read one answer; None where the connection ends without."""
    address = httpx.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.strip().split("\r\n")
            headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines])
            body = await reader.readexactly(int(headers.get("content-length", 0)))
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return None
    finally:
        writer.transport.abort()
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


async def stop_halfway(url: str, data: bytes, stay_s: float = LONG_S) -> None:
    """Send a part, read nothing, stay for a while, and vanish without a word."""
    address = httpx.URL(url)
    _, writer = await asyncio.open_connection(address.host, address.port)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(data)
    await asyncio.sleep(stay_s)
    writer.transport.abort()
