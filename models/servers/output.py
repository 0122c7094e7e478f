"""What a server prints: its last lines, and whether one was seen that tells it is ready."""

from __future__ import annotations

import asyncio
import re

from models.workers.launch import LastLines


class Output(LastLines):
    """`seen` completes when a line is printed in which `wanted` is found."""

    def __init__(self, name: str, wanted: str | None = None) -> None:
        super().__init__(f"server of {name}")
        self.seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanted = re.compile(wanted) if wanted else None

    def add(self, line: bytes) -> str:
        text = super().add(line)
        if self._wanted and not self.seen.done() and self._wanted.search(text):
            self.seen.set_result(None)
        return text
