"""Calls a client's URL when a run has ended: at least once, or until it gives up.

The store notes a call in the transaction of the run's end, and forgets it once it has succeeded or
was given up. A process that ends in between calls again at its next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from config.errors import MotetError
from runs.events import dumps
from runs.record import Run
from runs.store import RunStore

log = logging.getLogger(__name__)

Post = Callable[[str, bytes], Awaitable[int]]
"""Sends a JSON body to a URL and returns the HTTP status; raises for a forbidden address."""

PAUSES_S = (1.0, 5.0, 30.0)
"""Waits between the attempts of one delivery."""


class Webhooks:
    """Delivers ended runs in the background, each in a task of its own."""

    def __init__(self, store: RunStore, post: Post, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._store = store
        self._post = post
        self._pauses_s = pauses_s
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, run: Run, url: str) -> None:
        """Begin to call `url`, and return at once."""
        task = asyncio.create_task(self._deliver(run, url), name=f"webhook {run.run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def recover(self) -> None:
        """Begin the calls that an earlier process did not finish."""
        for delivery in await self._store.list_deliveries():
            if run := self._store.find_run(delivery.run_id):
                self.deliver(run, delivery.url)

    async def wait_delivered(self) -> None:
        """Wait until every call begun so far has succeeded or was given up."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop calling; what was not delivered is tried at the next start."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _deliver(self, run: Run, url: str) -> None:
        # The host alone: paths and queries of webhooks hold secrets.
        host = urlsplit(url).hostname
        for pause_s in (*self._pauses_s, None):
            if await self._call(run, url):
                log.info("run %s: webhook delivered to %s", run.run_id, host)
                break
            if pause_s is None:
                log.warning("run %s: webhook given up, %s does not take it", run.run_id, host)
            else:
                await asyncio.sleep(pause_s)
        await self._store.end_delivery(run.run_id)

    async def _call(self, run: Run, url: str) -> bool:
        """Call once; return whether the URL took it. Never raises for a failed call."""
        try:
            return await self._post(url, dumps(run.as_dict())) < 300
        except Exception as error:
            reason = error.code if isinstance(error, MotetError) else type(error).__name__
            log.info("run %s: webhook failed, %s", run.run_id, reason)
            return False
