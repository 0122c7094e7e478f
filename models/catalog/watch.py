"""Follows models.yaml: an edit counts at once, a broken one not at all.

Owns the look at the file; what an edit changes is `Models.replace_file`'s.
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

LOOK_EVERY_S = 0.25
"""The file is looked at so often; that costs 10 µs. Its folder cannot be watched: the database of
runs lies there too, and each commit would wake the watch (an eighth of what a short run costs)."""
QUIET_S = 0.05
"""A file that changed is read when it has stayed the same for so long."""


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
        file = self._settings.models_file
        stamp = _stamp(file)
        # What came before this counts too. The largest file takes half a second to be parsed.
        self._take_over(await asyncio.to_thread(self._read))
        up.set()
        while True:
            stamp = await _wait_changed(file, stamp)
            self._take_over(await asyncio.to_thread(self._read))


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


async def _wait_changed(file: Path, stamp: tuple[int, ...]) -> tuple[int, ...]:
    """Wait until the file's stamp is another one, and stays it; return it."""
    while (now := _stamp(file)) == stamp:  # noqa: ASYNC110  (nothing tells, as said above)
        await asyncio.sleep(LOOK_EVERY_S)
    while True:
        await asyncio.sleep(QUIET_S)
        if (later := _stamp(file)) == now:
            return now
        now = later


def _stamp(file: Path) -> tuple[int, ...]:
    """Return what differs when the file does; empty where there is none."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_ino, status.st_size)
