"""Notices that an Ollama server went, taking what it held with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

OnLost = Callable[[str], None]

RETRY_S = (0.0, 0.5, 2.0, 10.0)
"""Pauses after connections that broke quickly, one after the other."""


class ConnectionMonitor:
    """An idle connection to the server: it breaks when the server ends, without anyone asking.

    `still_holds` is asked then, and once when it stands, whether the server has anything of ours:
    only so long is it watched. `close` it.
    """

    def __init__(self, url: str, still_holds: Callable[[], Awaitable[bool]]) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 80
        self._plain = parts.scheme == "http"
        self._still_holds = still_holds
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Begin, unless it is watched already. Behind TLS only a failing request tells."""
        if self._plain and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="ollama: connection")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        quick = 0
        while True:
            began_s = asyncio.get_running_loop().time()
            async with self._connect() as reader:
                # Before it stood, the server may have been started anew; then it never breaks.
                if reader and await self._still_holds():
                    with contextlib.suppress(OSError):
                        await reader.read(1)
            lasted_s = asyncio.get_running_loop().time() - began_s
            quick = 0 if lasted_s > RETRY_S[-1] else min(quick + 1, len(RETRY_S) - 1)
            if not await self._still_holds():
                return
            # A proxy may cut idle connections: then this must not become a busy loop.
            await asyncio.sleep(RETRY_S[quick])

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[asyncio.StreamReader | None]:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            yield None
            return
        try:
            yield reader
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
