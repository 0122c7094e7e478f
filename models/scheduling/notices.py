"""What is published about models, and what each waiter is notified of: when, and in which words.

A notice to a waiter is sent when what it waits for changes (`announce_loading`,
`announce_waiting`), and to a newcomer at once (`queue_status`). Its fields:

    phase        "queued" or "loading"
    verdict      "evicts": idle models go for it; "waits": for models in use, or on their way out
    models       their names
    device, need_bytes, free_bytes   where it is to be loaded, by the ledger
    position     1 is next
    estimate_s   left out while loads of the model were not seen yet
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.scheduling.effects import Effect, EmitEvent, NotifyWaiter
from models.scheduling.planning import AwaitUnload, Evict, Preempt, Wait
from models.scheduling.queue import Waiter
from models.scheduling.slot import Slot, State


class Notices:
    """Adds `EmitEvent` and `NotifyWaiter` to the effects of a pass. `slots` is only read."""

    def __init__(self, slots: Mapping[str, Slot], effects: list[Effect]) -> None:
        self._slots = slots
        self._effects = effects

    def emit(self, event: str, slot: Slot, **fields: object) -> None:
        """Publish an event about the present load of a model."""
        about = {"model": slot.name, "generation": slot.load.generation}
        self._effects.append(EmitEvent(event, {**about, **fields}))

    def announce_loading(self, slot: Slot, now_s: float) -> None:
        """Notify everyone who waits for the model that its load begins."""
        self._announce(slot, {"phase": "loading"}, 0, now_s)

    def announce_waiting(
        self,
        slot: Slot,
        decision: AwaitUnload | Evict | Preempt | Wait,
        blockers: Sequence[str],
        ahead: int,
        now_s: float,
    ) -> None:
        """Notify everyone who waits for the model why it is not loaded yet.

        `blockers` are in the way, or on their way out; `ahead` requests for other models are
        seen to before.
        """
        memory, balances = decision.need.memory, decision.balances
        notice = {
            "phase": "queued",
            "verdict": "evicts" if isinstance(decision, Evict) else "waits",
            "models": list(blockers),
            "device": decision.need.device,
            "need_bytes": dict(memory),
            "free_bytes": {d: b.free_bytes for d, b in balances.items() if d in memory},
        }
        self._announce(slot, notice, ahead, now_s)

    def queue_status(self, slot: Slot, ticket: int, now_s: float) -> Mapping[str, Any] | None:
        """Describe what one request waits for; None when it does not wait."""
        waiter = slot.queue.find(ticket)
        if waiter is None:
            return None
        # Without a notice the model is loaded, and as many use it as may at once.
        in_turn = {"phase": "queued", "verdict": "waits", "models": [slot.name]}
        return {**(slot.queue.last_notice or in_turn), **self._position(slot, waiter, now_s)}

    def _announce(self, slot: Slot, notice: dict[str, Any], ahead: int, now_s: float) -> None:
        slot.queue.queued_ahead = ahead
        if _says_the_same(slot.queue.last_notice, notice):
            return
        slot.queue.last_notice = notice
        if notice["phase"] == "queued":
            fields = {key: value for key, value in notice.items() if key != "phase"}
            self.emit("queued", slot, **fields, ahead=ahead, waiting=len(slot.queue.waiting))
        for waiter in slot.queue.waiting:
            status = {**notice, **self._position(slot, waiter, now_s)}
            self._effects.append(NotifyWaiter(waiter.ticket, status))

    def _position(self, slot: Slot, waiter: Waiter, now_s: float) -> dict[str, Any]:
        index = slot.queue.position(waiter)
        position = slot.queue.queued_ahead + index + 1
        before_s = 0.0
        if slot.state is not State.READY:
            if slot.usage.load_s is None:
                return {"position": position}
            begun_s = now_s - slot.load.started_s if slot.state is State.LOADING else 0.0
            before_s = max(0.0, slot.usage.load_s - begun_s) + self._blocked_s(slot, now_s)
        # As many at once as the model allows, each batch for as long as a usual lease.
        batches = index // slot.spec.concurrency if slot.spec.concurrency else 0
        estimate_s = before_s + batches * (slot.usage.lease_s or 0.0)
        return {"position": position, "estimate_s": round(estimate_s, 1)}

    def _blocked_s(self, slot: Slot, now_s: float) -> float:
        """Estimate how long the leases in the way will last yet, if they are usual ones."""
        names = slot.queue.last_notice.get("models", ())
        blockers = [self._slots[name] for name in names if name in self._slots]
        return max((_usual_rest_s(each, now_s) for each in blockers), default=0.0)


def _usual_rest_s(slot: Slot, now_s: float) -> float:
    usual_s = slot.usage.lease_s or 0.0
    ends_s = (began_s + usual_s for began_s in slot.load.leases.values())
    return max(0.0, max(ends_s, default=0.0) - now_s)  # a lease may outlast the usual ones


def _says_the_same(last: Mapping[str, Any], notice: Mapping[str, Any]) -> bool:
    """Tell whether nothing but numbers has changed: those are no news."""
    return all(last.get(key) == notice.get(key) for key in ("phase", "verdict", "models", "device"))
