"""What to unload when a device runs full by measurement, whoever fills it.

Two marks keep it from swinging: above `HIGH` models go, one at a time on each device, until it
is below `LOW`. Nothing goes where all idle models together would not bring it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.scheduling.eviction import Resident
from models.scheduling.ledger import DeviceBalance

HIGH = 0.85
"""Of a device: above it, idle models go."""
LOW = 0.75
"""Once they go, they do so until less than this is used."""
FULL = 0.95
"""Above it, models go that were used a moment ago, too."""
RESTED_S = 30.0
"""A model used more lately is spared while a device is not quite full: it would come back."""
READ_EVERY_S = 5.0
READ_AGAIN_S = 0.5
"""After an unload, when what it freed can be seen."""
CLOCK_SLACK_S = 0.001
"""A timer may ring so much early, and is never set sooner than so much later."""


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
        """Devices whose pressure was reported as incurable, which is done once."""

    def is_due(self, now_s: float) -> bool:
        """Tell whether it is time for a reading."""
        return now_s >= self.due_s - CLOCK_SLACK_S

    def note_unload(self, now_s: float) -> None:
        """Read soon what the unload has brought, where it matters."""
        if self._relieving:
            self.due_s = min(self.due_s, now_s + READ_AGAIN_S)

    def review(
        self,
        balances: Iterable[DeviceBalance],
        idle: Sequence[Resident],
        being_freed: Iterable[str],
        now_s: float,
    ) -> list[PressureEviction]:
        """Decide from a reading what has to go; `idle` could.

        Devices that are `being_freed` wait for what that brings.
        """
        self.due_s = now_s + READ_EVERY_S
        evictions = []
        for balance in balances:
            device = balance.device
            eviction = _eviction(balance, idle, device in self._relieving)
            if eviction and eviction.victim:
                self._relieving.add(device)
            else:
                self._relieving.discard(device)
            if eviction is None:
                self._hopeless.discard(device)
            elif eviction.victim is None:
                if device not in self._hopeless:
                    evictions.append(eviction)
                self._hopeless.add(device)
            elif device not in being_freed:
                evictions.append(eviction)
        return evictions


def _eviction(
    balance: DeviceBalance, idle: Sequence[Resident], relieving: bool
) -> PressureEviction | None:
    """Decide for one device; None while there is room, or nobody knows.

    `relieving`: it was above the mark at the last reading.
    """
    if balance.problem:
        return None  # an old reading is no reason to unload anything
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
    least_used = used - sum(resident.memory[device] for resident in useful)
    is_curable = least_used <= LOW * total or least_used <= HIGH * total < used
    if not useful or not (is_curable or over_cap):
        return PressureEviction(device, used / total) if used > HIGH * total else None
    victim = min(useful, key=lambda r: (r.cost / r.memory[device], r.names))
    return PressureEviction(device, used / total, victim)
