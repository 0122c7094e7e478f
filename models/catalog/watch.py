"""Follows models.yaml: an edit counts at once, a broken one not at all.

Owns the watch of the file's folder; what an edit changes is `Models.replace_file`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from config.errors import MotetError
from config.settings import Settings
from models.catalog.file import ModelsFile, load_models

log = logging.getLogger(__name__)

DEBOUNCE_MS = 1000
QUIET_MS = 50


class ModelsWatch:
    """Calls `replace` with what models.yaml says whenever it says something else than `now`.

    `problem` is what is wrong with the file as it is now; the last good one counts meanwhile.
    """

    def __init__(
        self, settings: Settings, now: ModelsFile, replace: Callable[[ModelsFile], object]
    ) -> None:
        self._settings = settings
        self._replace = replace
        self._now = now
        self.problem: MotetError | None = None

    def reload(self) -> bool:
        """Read the file; tell whether it says something else than before. Blocks."""
        return self._take_over(self._read())

    async def refresh(self) -> None:
        """Take over what the file says by now, without waiting for news of it."""
        self._take_over(await asyncio.to_thread(self._read))

    def _read(self) -> ModelsFile | MotetError:
        try:
            return load_models(self._settings)
        except MotetError as error:
            return error

    def _take_over(self, read: ModelsFile | MotetError) -> bool:
        if isinstance(read, MotetError):
            if self.problem is None or self.problem.message != read.message:
                log.warning("models.yaml is not taken over: %s", read.message)
            self.problem = read
            return False
        self.problem = None
        if read == self._now:
            return False
        self._now = read
        self._replace(read)
        log.info("models.yaml is taken over")
        return True

    async def follow(self, up: asyncio.Event) -> None:
        """Reload whenever the file changes, comes or goes, until cancelled.

        Sets `up` when nothing is missed any more.
        """
        from watchfiles import awatch  # a native library that only a server needs

        file = self._settings.models_file
        # Its folder, not the file: editors put a new file in its place, and a link may be turned.
        changes = awatch(file.parent, debounce=DEBOUNCE_MS, step=QUIET_MS, recursive=False)
        # It watches from its first step on, which ends before anything else runs here.
        waiting = asyncio.ensure_future(anext(changes))
        try:
            await asyncio.sleep(0)
            last_stamp = None  # what came before the watch was up counts too
            while True:
                if (stamp := _stamp(file)) != last_stamp:
                    last_stamp = stamp
                    # The largest file takes half a second to be parsed.
                    self._take_over(await asyncio.to_thread(self._read))
                up.set()
                await waiting
                waiting = asyncio.ensure_future(anext(changes))
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])
            await changes.aclose()


@contextlib.asynccontextmanager
async def watch_models(
    settings: Settings, now: ModelsFile, replace: Callable[[ModelsFile], object]
) -> AsyncIterator[ModelsWatch]:
    """Follow the file until closed. `now` is what was read of it last."""
    watch, up = ModelsWatch(settings, now, replace), asyncio.Event()
    task = asyncio.create_task(watch.follow(up), name="watch models.yaml")
    task.add_done_callback(partial(_report_end, up))
    try:
        await up.wait()
        yield watch
    finally:
        task.cancel()
        await asyncio.wait([task])


def _report_end(up: asyncio.Event, task: asyncio.Task[None]) -> None:
    up.set()
    if not task.cancelled() and (error := task.exception()):
        log.error("models.yaml is not followed any more", exc_info=error)


def _stamp(file: Path) -> tuple[int, ...]:
    """Return what differs when the file does; empty where there is none."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_ino, status.st_size)
