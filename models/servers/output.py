"""What a server prints: its last lines, and whether one of them says that it is ready."""

from __future__ import annotations

import asyncio
import logging
import re

from models.workers.launch import LastLines

log = logging.getLogger(__name__)

LOGGED_LINES = 5
"""Of a server that ended by itself."""


class Output(LastLines):
    """`matched` completes when a line is printed in which `wanted` is found."""

    def __init__(self, name: str, ready_pattern: str | None = None) -> None:
        super().__init__(f"server of {name}")
        self._server = name
        self.matched: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ready_pattern = re.compile(ready_pattern) if ready_pattern else None

    def log_last(self) -> None:
        """Log what the server printed before it ended: callers are not told."""
        lines = [line for line in self if line.strip()][-LOGGED_LINES:]
        if lines:
            log.error("the server of %s printed last: %s", self._server, " | ".join(lines))

    def add(self, line: bytes) -> str:
        text = super().add(line)
        if self._ready_pattern and not self.matched.done() and self._ready_pattern.search(text):
            self.matched.set_result(None)
        return text
