"""What a server prints: its last lines, and whether one was seen that tells it is ready."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Iterator

log = logging.getLogger(__name__)

LINES = 40
LINE_BYTES = 2000


class Output:
    """The last lines. `seen` completes when one matches `wanted`."""

    def __init__(self, name: str, wanted: str | None = None) -> None:
        self.seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._name = name
        self._wanted = re.compile(wanted) if wanted else None
        self._lines: deque[str] = deque(maxlen=LINES)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    async def collect(self, stream: asyncio.StreamReader) -> None:
        """Read to the end."""
        rest = b""
        while data := await stream.read(2**16):
            *whole, rest = (rest + data).split(b"\n")
            rest = rest[-LINE_BYTES:]
            for line in whole:
                self.add(line)
        if rest:
            self.add(rest)

    def add(self, line: bytes) -> None:
        text = line[-LINE_BYTES:].decode(errors="replace").rstrip()
        self._lines.append(text)
        log.debug("%s: %s", self._name, text)
        if self._wanted and not self.seen.done() and self._wanted.search(text):
            self.seen.set_result(None)
