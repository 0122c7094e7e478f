"""What to unload when a device runs full by measurement, whoever fills it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.scheduling.eviction import Resident
from models.scheduling.ledger import DeviceBalance

HIGH, LOW = 0.85, 0.75
FULL = 0.95
RESTED_S = 30.0
"""A model used more lately is spared while a device is not quite full: it would come back."""
READ_EVERY_S = 5.0
READ_AGAIN_S = 0.5
"""After an unload, when what it freed can be seen."""
SLACK_S = 0.001


@dataclass(frozen=True, slots=True)
class PressureEviction:
    """`victim` is to go now; without one, unloading would be of no use."""

    device: str
    used_share: float
    victim: Resident | None = None


class Pressure:
    """Remembers which devices are above the mark, and when to look at them next."""

    def __init__(self) -> None:
        self.due_s = 0.0
        self._relieving: set[str] = set()
        self._hopeless: set[str] = set()

    def due(self, now_s: float) -> bool:
        return now_s >= self.due_s - SLACK_S

    def freed(self, now_s: float) -> None:
        """A model has gone: what that brought is looked at soon, where it matters."""
        if self._relieving:
            self.due_s = min(self.due_s, now_s + READ_AGAIN_S)

    def read(
        self,
        balances: Iterable[DeviceBalance],
        idle: Sequence[Resident],
        leaving: Iterable[str],
        now_s: float,
    ) -> list[PressureEviction]:
        """What a reading asks for. `idle`: what could go; `leaving`: devices being freed now.

        One victim at a time on each device; what cannot be helped is said once.
        """
        self.due_s = now_s + READ_EVERY_S
        asked = []
        for balance in balances:
            device = balance.device
            found = _relief(balance, idle, device in self._relieving)
            (self._relieving.add if found and found.victim else self._relieving.discard)(device)
            if found is None:
                self._hopeless.discard(device)
            elif found.victim is None:
                if device not in self._hopeless:
                    asked.append(found)
                self._hopeless.add(device)
            elif device not in leaving:
                asked.append(found)
        return asked


def _relief(
    balance: DeviceBalance, idle: Sequence[Resident], relieving: bool
) -> PressureEviction | None:
    """None while there is room, or nobody knows. `relieving`: it was above a moment ago."""
    if balance.problem:
        return None
    total, device = max(1, balance.total_bytes), balance.device
    used = total - balance.available_bytes
    over_cap = balance.reserved_bytes > balance.cap_bytes
    if not over_cap and used <= (LOW if relieving else HIGH) * total:
        return None
    useful = [
        resident
        for resident in idle
        if resident.memory.get(device)
        and (resident.idle_s >= RESTED_S or used > FULL * total or over_cap)
    ]
    best = used - sum(resident.memory[device] for resident in useful)
    cured = best <= LOW * total or best <= HIGH * total < used
    if not useful or not (cured or over_cap):
        return PressureEviction(device, used / total) if used > HIGH * total else None
    victim = min(useful, key=lambda r: (r.cost / r.memory[device], r.names))
    return PressureEviction(device, used / total, victim)
