"""Requests for a lease that are under way: who is to hear of which ticket.

The scheduler knows requests by ticket; here stand the future and the listener of each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import MotetError
from models.driver import Loaded
from models.lease import LeaseListener

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PendingGrant:
    """One request. `granted` completes with the model, or with the error that ends it."""

    ticket: int
    model: str
    granted: asyncio.Future[Loaded]
    listener: LeaseListener | None


class PendingGrants:
    """The requests by ticket; tickets are never used twice."""

    def __init__(self) -> None:
        self._pending: dict[int, PendingGrant] = {}
        self._last_ticket = 0

    def open(self, model: str, listener: LeaseListener | None) -> PendingGrant:
        """Give a request its ticket; `close` it in any case."""
        self._last_ticket += 1
        granted: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
        pending = PendingGrant(self._last_ticket, model, granted, listener)
        self._pending[pending.ticket] = pending
        return pending

    def close(self, pending: PendingGrant) -> None:
        """Forget a request, whose lease or wait has ended."""
        self._pending.pop(pending.ticket, None)
        if pending.granted.done() and not pending.granted.cancelled():
            pending.granted.exception()  # read, so that asyncio does not report it as forgotten

    def complete(self, ticket: int, outcome: Loaded | MotetError) -> None:
        """End a request's wait, with the model or an error."""
        pending = self._pending.get(ticket)
        if pending is None or pending.granted.done():
            return  # cancelled in this tick of the loop; who cancelled it releases the ticket
        if isinstance(outcome, MotetError):
            pending.granted.set_exception(outcome)
        else:
            pending.granted.set_result(outcome)

    def notify(self, ticket: int, notice: Mapping[str, Any]) -> None:
        """Call the listener of a request, if it has one; what it raises is logged."""
        pending = self._pending.get(ticket)
        if pending and pending.listener:
            try:
                pending.listener({**notice, "model": pending.model})
            except Exception:
                log.exception("a listener for model events failed")
