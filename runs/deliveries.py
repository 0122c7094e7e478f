"""Webhooks on disk: which call is due, how the last attempt went, what was delivered.

Owns the table `deliveries`, with one row for each run that has ended and has a webhook. The row is
made in the transaction of the run's end and stays until the run is deleted.
"""

from __future__ import annotations

import asyncio
from typing import Literal, NamedTuple

from runs.database import RunDatabase, Statement
from runs.record import Run
from runs.rows import OF_RUN

DeliveryState = Literal["pending", "delivered", "given_up"]


class Delivery(NamedTuple):
    """A row of `deliveries`, with the tenant of its run.

    `next_at` is the epoch second of the next call of a pending one.
    """

    run_id: str
    tenant: str
    url: str
    state: DeliveryState
    attempts: int
    next_at: float
    status: int | None
    error: str | None


_SELECT = (
    "SELECT "
    + ", ".join(f"{'runs' if f == 'tenant' else 'deliveries'}.{f}" for f in Delivery._fields)
    + " FROM deliveries JOIN runs ON runs.run_id = deliveries.run_id"
)

_RECEIVER = "substr(url, 1, 8 + instr(substr(url, 9) || '/', '/'))"
"""Scheme, host and port of a URL that begins with http:// or https://."""


def note_delivery(run: Run, at: float = 0.0) -> Statement:
    """Note that the webhook of a run that has ended is to be called `at` that time, or at once."""
    return Statement(
        "INSERT OR REPLACE INTO deliveries (run_id, url, next_at) VALUES (?, ?, ?)",
        (run.run_id, run.webhook, at),
    )


class Deliveries:
    """Reads and writes of webhooks."""

    def __init__(self, database: RunDatabase) -> None:
        self._database = database

    def find(self, run_id: str, *, tenant: str) -> Delivery | None:
        row = self._database.row(
            f"{_SELECT} WHERE deliveries.run_id = ? AND tenant = ?", (run_id, tenant)
        )
        return Delivery._make(row) if row else None

    async def list_due(self, now: float, limit: int) -> list[Delivery]:
        """List the calls of all tenants that are due, those of each receiver in turn.

        Of one receiver's first those that failed least often: a new call waits behind neither those
        that are refused for hours nor the many of a receiver that is slow.
        """
        rows = await self._database.rows(
            f"{_SELECT} WHERE state = 'pending' AND next_at <= ? "
            f"ORDER BY row_number() OVER (PARTITION BY {_RECEIVER} ORDER BY attempts, next_at), "
            "attempts, next_at LIMIT ?",
            (now, limit),
        )
        return [Delivery._make(row) for row in rows]

    def find_next_time(self, now: float) -> float | None:
        """Return when the first call after `now` is due, of all tenants."""
        row = self._database.row(
            "SELECT next_at FROM deliveries WHERE state = 'pending' AND next_at > ? "
            "ORDER BY next_at LIMIT 1",
            (now,),
        )
        return float(row[0]) if row else None

    def save(self, before: Delivery, after: Delivery) -> asyncio.Future[None]:
        """Store how a delivery stands after a call.

        Nothing is stored where its run was deleted or it was renewed while the call was under way.
        """
        return self._database.write(
            Statement(
                "UPDATE deliveries SET state = ?, attempts = ?, next_at = ?, status = ?, "
                f"error = ? WHERE {OF_RUN} AND attempts = ? AND next_at = ?",
                (*after[3:], before.run_id, before.tenant, before.attempts, before.next_at),
            )
        )

    def renew(self, run: Run, at: float) -> asyncio.Future[None]:
        """Note that the webhook of an ended run is to be called again, from the beginning."""
        return self._database.write(note_delivery(run, at))
