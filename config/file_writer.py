"""Files that change while the service runs, written beside the event loop.

Owns the order of the writes to one file. How a file is replaced is `config.files`'s.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from pathlib import Path

from config.files import replace_file

log = logging.getLogger(__name__)


class FileWriter:
    """Replaces one file in a thread, with the last text that was given; one write at a time.

    Texts that are followed by others before their turn are never written. A disk that refuses is
    logged, and costs what was to be written. `close` it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: str | None = None
        self._writing: asyncio.Task[None] | None = None

    def write(self, text: str) -> None:
        """Begin to write a text; returns at once."""
        self._text = text
        if self._writing is None:
            # In nobody's context: the threads of users' code may all be in use.
            self._writing = asyncio.create_task(
                self._write(), name=f"write {self._path.name}", context=Context()
            )

    async def wait_written(self) -> None:
        """Wait until what was given before survives a power loss, or was refused."""
        while self._writing:
            await asyncio.shield(self._writing)

    async def close(self) -> None:
        """Wait for the last write."""
        await self.wait_written()

    async def _write(self) -> None:
        try:
            while self._text is not None:
                text, self._text = self._text, None
                await asyncio.to_thread(self._replace, text)
        finally:
            self._writing = None

    def _replace(self, text: str) -> None:
        try:
            replace_file(self._path, text)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)
