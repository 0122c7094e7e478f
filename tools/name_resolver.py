"""Looks host names up in threads of its own, so that slow name servers hold up nothing else.

Owns how many lookups run at once. A lookup cannot be ended: whoever waits gives up after
`LOOKUP_TIMEOUT_S`, its thread counts until the system answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

MAX_LOOKUPS = 16
LOOKUP_TIMEOUT_S = 8.0


class NameResolver:
    """Resolves hosts as the operating system does. Needs no closing: its threads are daemons."""

    def __init__(
        self, *, max_lookups: int = MAX_LOOKUPS, timeout_s: float = LOOKUP_TIMEOUT_S
    ) -> None:
        self._free = asyncio.Semaphore(max_lookups)
        self._timeout_s = timeout_s

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host. Raises `OSError`, of which `TimeoutError` is one."""
        async with asyncio.timeout(self._timeout_s):
            await self._free.acquire()
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[list[str]] = loop.create_future()
            lookup = threading.Thread(
                target=self._look_up, args=(loop, answer, host, port), name="dns", daemon=True
            )
            lookup.start()
            return await answer

    def _look_up(
        self,
        loop: asyncio.AbstractEventLoop,
        answer: asyncio.Future[list[str]],
        host: str,
        port: int,
    ) -> None:
        result: list[str] | Exception
        try:
            result = look_up(host, port)
        except Exception as error:  # also of names that cannot be encoded
            result = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._deliver, answer, result)

    def _deliver(self, answer: asyncio.Future[list[str]], result: list[str] | Exception) -> None:
        self._free.release()
        if answer.done():
            return
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, each once. Blocks; raises `OSError`."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))
