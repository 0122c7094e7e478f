"""Tells a caller's URL that a run has ended; kept in the store until it was told or gave up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from runs.events import dumps
from runs.record import Run
from runs.store import RunStore

log = logging.getLogger(__name__)

Post = Callable[[str, bytes], Awaitable[int]]
"""Sends a JSON body to a URL, gives the HTTP status, refuses addresses that are not allowed."""

PAUSES_S = (1.0, 5.0, 30.0)
"""Waits between the attempts of one delivery."""


class Webhooks:
    """Delivers each ended run at least once, in the background."""

    def __init__(self, store: RunStore, post: Post, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._store = store
        self._post = post
        self._pauses_s = pauses_s
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, run: Run, url: str) -> None:
        """Begin to tell `url` of the run."""
        task = asyncio.create_task(self._deliver(run, url), name=f"webhook {run.run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def recover(self) -> None:
        """Begin what an earlier process did not finish."""
        for run_id, url in await self._store.list_deliveries():
            if run := self._store.find_run(run_id):
                self.deliver(run, url)

    async def wait_delivered(self) -> None:
        """Wait until every delivery begun so far has succeeded or given up."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop; what was not delivered is tried at the next start."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _deliver(self, run: Run, url: str) -> None:
        for pause_s in (*self._pauses_s, None):
            if await self._told(run, url):
                break
            if pause_s is None:
                log.warning("webhook of run %s given up: %s", run.run_id, url)
            else:
                await asyncio.sleep(pause_s)
        await self._store.end_delivery(run.run_id)

    async def _told(self, run: Run, url: str) -> bool:
        try:
            return await self._post(url, dumps(run.as_dict())) < 300
        except Exception as error:
            log.info("webhook of run %s: %s", run.run_id, error)
            return False
