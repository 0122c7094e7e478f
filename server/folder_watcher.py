"""Folders of indexes that are watched: what changes in them is indexed without being asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from pathlib import Path

from config.errors import MotetError, NotFound
from indexes.library import Indexes
from indexes.records import IndexInfo, IngestReport

log = logging.getLogger(__name__)

DEBOUNCE_MS = 1000
"""A burst of changes is one, unless it lasts longer."""
QUIET_MS = 100
MAX_FOLDERS = 16
"""Each takes a thread that waits, out of those that the server has for everything."""

Key = tuple[str, str, str]


class FolderWatcher:
    """A task for each folder that is watched; none before `start`. `close` ends them.

    `told` is called with the report of each ingest.
    """

    def __init__(
        self, indexes: Indexes, told: Callable[[IngestReport], None] = lambda report: None
    ) -> None:
        self._indexes = indexes
        self._told = told
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._started = False

    async def start(self, *, tenant: str = "default") -> None:
        """Watch the folders of every index that says so, and see what changed meanwhile."""
        self._started = True
        for index in await self._indexes.list(tenant=tenant):
            self.follow(index, tenant=tenant)

    def follow(self, index: IndexInfo, *, tenant: str = "default") -> None:
        """Watch the folders of an index, if it says so."""
        if not self._started or not index.watch:
            return
        for folder in index.folders:
            key = (tenant, index.name, folder)
            if len(self._tasks) >= MAX_FOLDERS:
                log.warning("%s is not watched: %d folders are already", folder, MAX_FOLDERS)
            elif key not in self._tasks:
                name = f"watch {index.name} {folder}"
                task = asyncio.create_task(self._watch(key), name=name)
                self._tasks[key] = task
                task.add_done_callback(partial(self._ended, key))

    def leave(self, name: str, *, tenant: str = "default") -> None:
        """Watch an index no more."""
        for key, task in self._tasks.items():
            if key[:2] == (tenant, name):
                task.cancel()

    async def close(self) -> None:
        self._started = False
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled() and (error := task.exception()):
            log.error("folder %s is not watched any more", key[2], exc_info=error)

    async def _watch(self, key: Key) -> None:
        """Follow one folder, also when it goes and comes back, until its index is gone."""
        folder = Path(key[2]).expanduser().resolve()
        while True:
            await _appeared(folder)
            if not await self._follow(key, folder):
                return

    async def _follow(self, key: Key, folder: Path) -> bool:
        """Index the folder now and at each change, for as long as it is there; whether its index
        still is."""
        from watchfiles import awatch  # a native library that only a server needs

        changes = awatch(folder, debounce=DEBOUNCE_MS, step=QUIET_MS, ignore_permission_denied=True)
        # It watches from its first step on, which ends before anything else runs here.
        waiting = asyncio.ensure_future(anext(changes))
        try:
            await asyncio.sleep(0)
            while await self._refresh(key, folder):
                if _is_gone(folder, await waiting):
                    return True
                waiting = asyncio.ensure_future(anext(changes))
            return False
        except FileNotFoundError:  # it went before it was watched
            return True
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])
            await changes.aclose()

    async def _refresh(self, key: Key, folder: Path) -> bool:
        tenant, name, _ = key
        try:
            index = await self._indexes.get(name, tenant)
            report = await index.add_folder(folder)
        except NotFound:
            return False
        except MotetError as error:
            log.warning("watched folder %s is not indexed: %s", folder, error.message)
        else:
            self._told(report)
            if report.added or report.changed or report.removed:
                counts = (report.added, report.changed, report.removed)
                log.info("index %s: %d added, %d changed, %d removed", name, *counts)
            for failure in report.failed:
                log.warning("%s", failure.message)
        return True


def _is_gone(folder: Path, changes: Iterable[tuple[object, str]]) -> bool:
    """Whether the folder itself went: it is another one, not watched, if it is there again."""
    return not folder.is_dir() or any(Path(path) == folder for _, path in changes)


async def _appeared(folder: Path) -> None:
    """Wait until the folder is there."""
    from watchfiles import awatch

    while not folder.is_dir():
        above = _nearest(folder)
        # It yields when it looks for a stop too: the folder may have come before it watched.
        changes = awatch(above, recursive=False, yield_on_timeout=True, debounce=QUIET_MS)
        async with aclosing(changes):
            async for _ in changes:
                if folder.is_dir() or _nearest(folder) != above:
                    break


def _nearest(folder: Path) -> Path:
    """The nearest folder above that is there."""
    return next(parent for parent in folder.parents if parent.is_dir())
