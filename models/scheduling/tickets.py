"""Who waits for a lease, and who holds one.

Owns the tickets from a request until it is granted and released, rejected or given up.
Invariant: each ticket ends in one `Grant` or one `Reject`, or is released before.
"""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import MotetError
from models.scheduling.effects import Effect, Grant, Reject
from models.scheduling.queue import FairQueue, Waiter
from models.scheduling.slot import Slot

WAITING = 0
"""In place of a load's generation, for a ticket that has no lease yet."""


class Tickets:
    """Moves requests through the queues of slots; adds `Grant` and `Reject` to `effects`."""

    def __init__(self, effects: list[Effect]) -> None:
        self._effects = effects
        self._holders: dict[int, tuple[Slot, int]] = {}
        """By ticket: the slot, and the generation of the load that it has a lease of."""
        self._fair_queue = FairQueue()

    def enqueue(self, slot: Slot, ticket: int, tenant: str, priority: int, now_s: float) -> None:
        """Let a request wait for a model."""
        slot.usage.count_request(now_s)
        slot.queue.add(self._fair_queue.enter(ticket, tenant, priority, now_s))
        self._holders[ticket] = (slot, WAITING)

    def release_ticket(self, ticket: int, now_s: float) -> Slot | None:
        """End a lease or a wait, whichever it is by now, and return the slot.

        An unknown ticket is ignored.
        """
        slot, generation = self._holders.pop(ticket, (None, WAITING))
        if slot is None:
            return None
        if waiter := slot.queue.remove(ticket):
            self._fair_queue.leave(waiter)
        load = slot.load
        # A lease of a load that crashed says nothing about the one that came after it.
        if load.generation == generation and ticket in load.leases:
            load.idle_since_s = now_s
            slot.usage.count_lease(now_s - load.leases.pop(ticket))
            load.first_lease_end_s = load.first_lease_end_s or now_s
        if slot.is_unused:
            slot.usage.mark_idle(now_s)
        return slot

    def grant(self, slot: Slot, now_s: float) -> None:
        """Grant leases of a loaded model in the order of its queue, as many as it allows."""
        while slot.can_grant(now_s):
            waiter = slot.queue.waiting[0]
            slot.queue.remove(waiter.ticket)
            self._fair_queue.leave(waiter)
            slot.load.leases[waiter.ticket] = now_s
            self._holders[waiter.ticket] = (slot, slot.load.generation)
            self._effects.append(Grant(waiter.ticket, slot.name, slot.load.generation))

    def reject(self, slot: Slot, waiting: Sequence[Waiter], error: MotetError) -> None:
        """End requests that wait for a model."""
        for waiter in list(waiting):
            slot.queue.remove(waiter.ticket)
            self._fair_queue.leave(waiter)
            self._holders.pop(waiter.ticket, None)
            self._effects.append(Reject(waiter.ticket, error))
