"""Watches the folders of indexes that say so: what changes in them is indexed at once.

Owns one task for each folder. Reading and embedding are those of `indexes`; a change is nothing
but a reason to index the folder again, which reads only what has changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from config.errors import MotetError, NotFound
from indexes.library import Indexes
from indexes.records import IndexInfo
from indexes.reports import IngestReport

log = logging.getLogger(__name__)

DEBOUNCE_MS = 1000
"""Changes that follow each other for so long are indexed together."""
QUIET_MS = 100
MAX_FOLDERS = 16
"""Each folder takes a thread that waits, out of those that the server has for everything."""


class WatchedFolder(NamedTuple):
    """A folder of one index, as the index names it."""

    tenant: str
    index_name: str
    folder: str


class FolderWatcher:
    """Runs a task for each watched folder; none before `start`. `close` ends them.

    `on_report` is called with the report of each ingest.
    """

    def __init__(
        self, indexes: Indexes, on_report: Callable[[IngestReport], None] = lambda report: None
    ) -> None:
        self._indexes = indexes
        self._on_report = on_report
        self._tasks: dict[WatchedFolder, asyncio.Task[None]] = {}
        self._started = False

    async def start(self) -> None:
        """Watch the folders of every tenant's indexes that say so; see what changed meanwhile."""
        self._started = True
        for tenant in await self._indexes.tenants():
            for index in await self._indexes.list(tenant=tenant):
                self.follow(index, tenant=tenant)

    def follow(self, index: IndexInfo, *, tenant: str) -> None:
        """Watch the folders of an index, if it says so."""
        if not self._started or not index.watch:
            return
        for folder in index.folders:
            watched = WatchedFolder(tenant, index.name, folder)
            if len(self._tasks) >= MAX_FOLDERS:
                log.warning("%s is not watched: %d folders are already", folder, MAX_FOLDERS)
            elif watched not in self._tasks:
                name = f"watch {index.name} {folder}"
                task = asyncio.create_task(self._watch(watched), name=name)
                self._tasks[watched] = task
                task.add_done_callback(partial(self._discard, watched))

    def unfollow(self, name: str, *, tenant: str) -> None:
        """Stop watching the folders of an index; does not wait for the end of an ingest."""
        for watched, task in self._tasks.items():
            if (watched.tenant, watched.index_name) == (tenant, name):
                task.cancel()

    async def close(self) -> None:
        """Cancel all tasks and wait for their end; no more are started."""
        self._started = False
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _discard(self, watched: WatchedFolder, task: asyncio.Task[None]) -> None:
        # An index may be deleted and made again before its old task has ended: the new one stays.
        if self._tasks.get(watched) is task:
            del self._tasks[watched]
        if not task.cancelled() and (error := task.exception()):
            log.error("folder %s is not watched any more", watched.folder, exc_info=error)

    async def _watch(self, watched: WatchedFolder) -> None:
        """Follow one folder, also when it goes and comes back, until its index is gone."""
        folder = Path(watched.folder).expanduser().resolve()
        while True:
            await _wait_until_there(folder)
            if not await self._follow(watched, folder):
                return

    async def _follow(self, watched: WatchedFolder, folder: Path) -> bool:
        """Index the folder now and at each change, until the folder or its index is gone.

        Gives whether the index is still there.
        """
        from watchfiles import awatch  # a native library that only a server needs

        changes = awatch(folder, debounce=DEBOUNCE_MS, step=QUIET_MS, ignore_permission_denied=True)
        # The first step begins to watch, and `sleep(0)` lets it run: so a change that falls between
        # the first indexing and the first wait is not lost.
        waiting = asyncio.ensure_future(anext(changes))
        try:
            await asyncio.sleep(0)
            while await self._refresh(watched, folder):
                if _is_gone(folder, await waiting):
                    return True
                waiting = asyncio.ensure_future(anext(changes))
            return False
        except FileNotFoundError:  # the folder went before it was watched
            return True
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])
            await changes.aclose()

    async def _refresh(self, watched: WatchedFolder, folder: Path) -> bool:
        """Index the folder, and log what that changed; gives whether the index is still there."""
        tenant, name, _ = watched
        try:
            index = await self._indexes.get(name, tenant=tenant)
            report = await index.add_folder(folder)
        except NotFound:
            return False
        except MotetError as error:
            log.warning("watched folder %s is not indexed: %s", folder, error.message)
        else:
            self._on_report(report)
            if report.added or report.changed or report.removed:
                counts = (report.added, report.changed, report.removed)
                log.info("index %s: %d added, %d changed, %d removed", name, *counts)
            for failure in report.failed:
                log.warning("%s", failure.message)
        return True


def _is_gone(folder: Path, changes: Iterable[tuple[object, str]]) -> bool:
    """Tell whether the folder itself went: if it is there again, it is another, unwatched one."""
    return not folder.is_dir() or any(Path(path) == folder for _, path in changes)


async def _wait_until_there(folder: Path) -> None:
    """Wait until the folder is there."""
    from watchfiles import awatch

    while not folder.is_dir():
        above = _nearest(folder)
        # `awatch` yields on its timeout too: the folder may have come before it was watched.
        changes = awatch(above, recursive=False, yield_on_timeout=True, debounce=QUIET_MS)
        async with aclosing(changes):
            async for _ in changes:
                if folder.is_dir() or _nearest(folder) != above:
                    break


def _nearest(folder: Path) -> Path:
    """Find the nearest folder above that is there."""
    return next(parent for parent in folder.parents if parent.is_dir())
