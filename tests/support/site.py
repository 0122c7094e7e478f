"""A web site on loopback whose answers are written byte by byte, and a name server for it."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

Answer: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]


LOOPBACK = ipaddress.ip_network("127.0.0.1/32")


@dataclass
class Site:
    """Paths and what they answer; `seen` holds the head of every request."""

    pages: dict[str, bytes | Answer] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    port: int = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def page(
        self,
        path: str,
        body: bytes,
        media_type: str = "text/plain",
        head: str = "",
        status: str = "200 OK",
    ) -> None:
        self.pages[path] = (
            f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n{head}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode() + body

    def redirect(self, path: str, location: str) -> None:
        self.page(path, b"", head=f"Location: {location}\r\n", status="302 Found")

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.seen.append(head)
            if length := re.search(r"content-length: (\d+)", head, re.IGNORECASE):
                self.bodies.append(await reader.readexactly(int(length[1])))
            page = self.pages.get(head.split(" ")[1], b"HTTP/1.1 404 Not Found\r\n\r\n")
            if isinstance(page, bytes):
                writer.write(page)
            else:
                await page(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(site: Site, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    async with server:
        yield site


class Names:
    """A name server whose answers change with each question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]
