"""Calls a client's URL when a run has ended: at least once, for hours, over restarts.

Owns when a webhook is called and what its answer means. What stands on disk is `deliveries`',
the signature `webhook_signing`'s, the guard of addresses the sender's.

Invariants:
- A call is on disk before the run's end is known (`deliveries`), and pending there until a receiver
  took it, or the last attempt failed.
- URLs hold secrets: nothing but scheme, host and port of one is logged or shown.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from config.errors import Conflict, MotetError
from runs.deliveries import Deliveries, Delivery
from runs.events import dumps
from runs.record import Run, timestamp
from runs.store import RunStore
from runs.webhook_signing import WebhookSigner
from tools.responses import PostAnswer

log = logging.getLogger(__name__)

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[PostAnswer]]
"""Sends a JSON body with headers to a URL and returns what was answered; raises for a forbidden
address."""

PAUSES_S = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""Waits between the attempts of one delivery: somewhat more than a day in all."""
MAX_CALLS = 16
"""Calls under way at once."""
MAX_RECEIVER_CALLS = 12
"""Of them those of one receiver: while it answers slowly, others are called."""
MAX_RETRY_AFTER_S = 36_000.0
"""A receiver may put off the next attempt by so long."""
STORAGE_PAUSE_S = 60.0
"""How long a call whose outcome the disk did not take waits before it is made again."""
ENDPOINT_REMOVED = 410
"""The status by which a receiver says that it wants no calls any more."""


class _Call(NamedTuple):
    """A call under way."""

    url: str
    task: asyncio.Task[None]


class Webhooks:
    """Delivers ended runs in the background. `now` gives the epoch's seconds."""

    def __init__(
        self,
        store: RunStore,
        deliveries: Deliveries,
        post: Post,
        signer: WebhookSigner | None = None,
        pauses_s: Sequence[float] = PAUSES_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._post = post
        self._signer = signer or WebhookSigner()
        self._pauses_s = pauses_s
        self._now = now
        self._calls: dict[str, _Call] = {}
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._dispatching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to call what is due, first of all what an earlier process left."""
        self._dispatching = asyncio.create_task(self._dispatch(), name="webhooks")

    def wake(self) -> None:
        """Look for calls that are due: the end of a run with a webhook was stored."""
        self._idle.clear()
        self._changed.set()

    async def resend(self, run: Run) -> dict[str, Any]:
        """Call the webhook of an ended run again; return how it stands. On disk on return.

        Raises `Conflict` for a run without one (`webhook_missing`) or one that has not ended
        (`run_not_ended`).
        """
        if run.webhook is None:
            raise Conflict(
                f"Run {run.run_id} was given no webhook.",
                code="webhook_missing",
                details={"field": "run_id"},
            )
        if not run.ended:
            raise Conflict(
                f"Run {run.run_id} is {run.status}; its webhook is called when it has ended.",
                code="run_not_ended",
                details={"field": "run_id", "status": run.status},
            )
        await self._deliveries.renew(run, self._now())
        self.wake()
        return self.describe(run) or {}

    def describe(self, run: Run) -> dict[str, Any] | None:
        """Return how the call of a run's webhook stands, as JSON; None where it has none."""
        if run.webhook is None:
            return None
        shown: dict[str, Any] = {"to": redact_url(run.webhook), "state": "not_due"}
        if delivery := self._deliveries.find(run.run_id, tenant=run.tenant):
            shown["state"] = delivery.state
            shown["attempts"] = delivery.attempts
            shown["status"], shown["error"] = delivery.status, delivery.error
            pending = delivery.state == "pending" and delivery.next_at > 0
            shown["next_at"] = timestamp(delivery.next_at) if pending else None
        return shown

    async def wait_idle(self) -> None:
        """Wait until no call is under way or due."""
        self.wake()
        await self._idle.wait()

    async def close(self) -> None:
        """Stop calling; what was not delivered is tried after the next start."""
        tasks = [
            *(call.task for call in self._calls.values()),
            *([self._dispatching] if self._dispatching else []),
        ]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _dispatch(self) -> None:
        while True:
            self._changed.clear()
            try:
                pause_s = await self._start_due()
            except Exception as error:  # the database cannot be read now
                log.error("webhooks wait: %s", type(error).__name__)
                pause_s = STORAGE_PAUSE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()

    async def _start_due(self) -> float | None:
        """Start the calls that are due; return the seconds until the next one, None if none is."""
        now = self._now()
        # Calls under way are pending on disk too, so more is read than can be begun.
        due = await self._deliveries.list_due(now, 2 * MAX_CALLS)
        for delivery in due:
            if delivery.run_id in self._calls or not self._has_room(delivery.url):
                continue
            # While the list was read, a call under way may have ended and been noted.
            current = self._deliveries.find(delivery.run_id, tenant=delivery.tenant)
            if current == delivery:
                self._start_call(delivery)
        next_at = self._deliveries.find_next_time(now)
        if not self._calls and not self._changed.is_set():
            self._idle.set()
        return None if next_at is None else max(0.0, next_at - self._now())

    def _has_room(self, url: str) -> bool:
        receiver = redact_url(url)
        at_work = [each.url for each in self._calls.values() if redact_url(each.url) == receiver]
        return len(self._calls) < MAX_CALLS and len(at_work) < MAX_RECEIVER_CALLS

    def _start_call(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.run_id}")
        self._calls[delivery.run_id] = _Call(delivery.url, task)
        task.add_done_callback(lambda _: self._finish_call(delivery.run_id))

    def _finish_call(self, run_id: str) -> None:
        del self._calls[run_id]
        self._changed.set()

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            if run := self._store.find_run(delivery.run_id, tenant=delivery.tenant):
                await self._store.read_output(run)
                answer, error = await self._call(run, delivery.url)
                await self._record(delivery, answer, error)
        except Exception as error:
            log.error("run %s: webhook not recorded: %s", delivery.run_id, type(error).__name__)
            await asyncio.sleep(STORAGE_PAUSE_S)

    async def _call(self, run: Run, url: str) -> tuple[PostAnswer | None, str | None]:
        """Call once; return the answer, or the code of what went wrong."""
        body = dumps(run.as_dict())
        headers = self._signer.sign(run.run_id, int(self._now()), body)
        try:
            return await self._post(url, body, headers), None
        except Exception as error:
            # Texts of errors may hold the URL.
            return None, error.code if isinstance(error, MotetError) else type(error).__name__

    async def _record(
        self, delivery: Delivery, answer: PostAnswer | None, error: str | None
    ) -> None:
        attempts, to = delivery.attempts + 1, redact_url(delivery.url)
        status = answer.status if answer else None
        after = delivery._replace(attempts=attempts, status=status, error=error)
        reason = error or f"status {status}"
        if status is not None and status < 300:
            after = after._replace(state="delivered")
            log.info("run %s: webhook delivered to %s", delivery.run_id, to)
        elif status == ENDPOINT_REMOVED or attempts > len(self._pauses_s):
            after = after._replace(state="given_up")
            log.warning("run %s: webhook given up, %s: %s", delivery.run_id, to, reason)
        else:
            pause_s = max(self._pauses_s[attempts - 1], _asked_pause_s(answer))
            after = after._replace(next_at=self._now() + pause_s)
            log.info("run %s: webhook not taken by %s: %s", delivery.run_id, to, reason)
        await self._deliveries.save(delivery, after)


def _asked_pause_s(answer: PostAnswer | None) -> float:
    """Return for how long a receiver asked not to be called."""
    asked_s = answer.retry_after_s if answer else None
    return min(asked_s or 0.0, MAX_RETRY_AFTER_S)


def redact_url(url: str) -> str:
    """Return scheme, host and port of a URL: its path, query and user may hold secrets."""
    try:
        parts = urlsplit(url)
        if not parts.hostname:
            return "a URL without a host"
        if not parts.scheme:
            return "a URL without a scheme"
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return "a URL that cannot be read"
