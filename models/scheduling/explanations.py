"""What people are told: why a model waits, for how long, and why it is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import Busy, MotetError, Unavailable
from models.scheduling.eviction import EvictionDecision
from models.scheduling.ledger import DeviceBalance
from models.scheduling.planning import Decision
from models.scheduling.queue import Waiter
from models.scheduling.slot import Slot, State

GB = 1e9
NO_ROOM_RETRY_S = 30.0


def waits(decision: Decision, models: Sequence[str]) -> dict[str, Any]:
    """Why a model is not loaded yet: `models` are in the way, or on their way out."""
    memory = decision.need.memory
    return {
        "phase": "queued",
        "verdict": "evicts" if decision.admission.verdict == "evicts" else "waits",
        "models": list(models),
        "device": decision.need.device,
        "need_bytes": dict(memory),
        "free_bytes": {d: b.free_bytes for d, b in decision.balances.items() if d in memory},
    }


def served_in_turn(slot: Slot) -> dict[str, Any]:
    """Why a model that is loaded is not had at once: as many use it as may."""
    return {"phase": "queued", "verdict": "waits", "models": [slot.name]}


def place_in_line(
    slot: Slot, waiter: Waiter, slots: Mapping[str, Slot], now_s: float
) -> dict[str, Any]:
    """Where one request stands: `position` 1 is next, `estimate_s` is left out while unknown."""
    index = slot.waiting.index(waiter)
    told: dict[str, Any] = {"position": slot.ahead + index + 1}
    waits_s = 0.0
    if slot.state is not State.READY:
        if slot.usage.load_s is None:
            return told
        begun_s = now_s - slot.load_started_s if slot.state is State.LOADING else 0.0
        waits_s = max(0.0, slot.usage.load_s - begun_s)
        blockers = [slots[name] for name in slot.told.get("models", ()) if name in slots]
        waits_s += max((_free_in_s(each, now_s) for each in blockers), default=0.0)
    turns = index // slot.spec.concurrency if slot.spec.concurrency else 0
    told["estimate_s"] = round(waits_s + turns * (slot.usage.lease_s or 0.0), 1)
    return told


def _free_in_s(slot: Slot, now_s: float) -> float:
    """How long its leases will last yet, if they are usual ones."""
    usual_s = slot.usage.lease_s or 0.0
    return max((began_s + usual_s - now_s for began_s in slot.leases.values()), default=0.0)


def same_news(told: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether nothing but numbers has changed."""
    return all(told.get(key) == news.get(key) for key in ("phase", "verdict", "models", "device"))


def tried_again(error: MotetError, left_s: float) -> MotetError:
    """The refusal of a model whose load failed a moment ago."""
    message = f"{error.message} It will be tried again in {left_s:.0f} s at the earliest."
    details = error.details
    return type(error)(message, code=error.code, details=details, retry_after_s=left_s)


def crashes(slot: Slot, reason: str) -> MotetError:
    """The refusal of a model that dies whenever it is loaded."""
    message = (
        f"'{slot.name}' ended by itself {slot.usage.crashes} times in a row before it had done "
        f"anything; the last time: {reason}."
    )
    return Unavailable(message, code="model_crash_loop", details={"model": slot.name})


def queue_full(slot: Slot, limit: int) -> Busy:
    message = f"{limit} requests wait for '{slot.name}' already."
    return Busy(message, code="queue_full", retry_after_s=5.0)


def no_room(name: str, decision: Decision) -> MotetError:
    """The refusal of what cannot be loaded, with the numbers of the device that lacks most."""
    need, balances, admission = decision.need.memory, decision.balances, decision.admission
    device = _shortest(need, balances, admission)
    wanted, balance = need[device], balances.get(device)
    free, cap = (balance.free_bytes, balance.cap_bytes) if balance else (0, 0)
    message = (
        f"'{name}' needs {wanted / GB:.1f} GB of {device}: {free / GB:.1f} GB "
        f"are free for models, which may take {cap / GB:.1f} GB in all."
    )
    if not admission.permanent:
        message += " What takes the rest cannot be unloaded by Motet."
    return Unavailable(
        message,
        code="insufficient_memory",
        details={
            "model": name,
            "need_bytes": wanted,
            **(balance.as_dict() if balance else {"device": device}),
        },
        permanent=admission.permanent,
        retry_after_s=None if admission.permanent else NO_ROOM_RETRY_S,
    )


def _shortest(
    need: Mapping[str, int], balances: Mapping[str, DeviceBalance], admission: EvictionDecision
) -> str:
    def lack(device: str) -> int:
        balance = balances.get(device)
        if balance is None:
            return need[device]
        return need[device] - (balance.cap_bytes if admission.permanent else balance.free_bytes)

    return max(need, key=lack)
