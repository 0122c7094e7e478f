"""Who holds how much memory: reservations against caps and against what is really free.

Readings of devices are handed in. Invariant: what models share counts once on a device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.devices import DeviceMemory
from models.scheduling.requirement import MemoryRequirement

DEFAULT_CAP_SHARE = 0.85
"""Of a device without a cap of its own: the rest is the system's and other programs'."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one model holds. `loaded`: a reading of the device counts it too."""

    need: MemoryRequirement
    loaded: bool = False


@dataclass(frozen=True, slots=True)
class DeviceBalance:
    """One device as the ledger sees it. `free_bytes` is what a new model may take.

    `problem`: why the reading is not what the device has now; empty when it is.
    """

    device: str
    total_bytes: int
    available_bytes: int
    cap_bytes: int
    reserved_bytes: int
    free_bytes: int
    problem: str = ""

    def as_dict(self) -> dict[str, int | str]:
        return {name: getattr(self, name) for name in self.__slots__}


class Ledger:
    """The reservations of all slots, by the name of their model."""

    def __init__(self, cap_bytes: Mapping[str, int]) -> None:
        self._caps = dict(cap_bytes)
        self._reservations: dict[str, Reservation] = {}
        self._holders: set[str] = set()
        """Who has reserved memory at all: models elsewhere take none here."""

    def set_caps(self, cap_bytes: Mapping[str, int]) -> None:
        """Use other caps from now on; what is reserved stays so."""
        self._caps = dict(cap_bytes)

    def reserve(self, name: str, need: MemoryRequirement) -> None:
        """Set memory aside before loading."""
        self._put(name, Reservation(need))

    def confirm(self, name: str, memory: Mapping[str, int] | None) -> None:
        """Count a model as loaded; a measurement, where there is one, replaces the estimate."""
        need = self._reservations[name].need
        if memory is not None:
            need = replace(need, memory=dict(memory))
        self._put(name, Reservation(need, loaded=True))

    def release(self, name: str) -> None:
        """Give a model's reservation back, if it has one."""
        self._reservations.pop(name, None)
        self._holders.discard(name)

    def is_memory_held(self) -> bool:
        """Tell whether any model has memory here."""
        return bool(self._holders)

    def reserved(self, name: str) -> Mapping[str, int]:
        """Return the bytes by device that a model holds."""
        reservation = self._reservations.get(name)
        return reservation.need.memory if reservation else {}

    def additional(self, need: MemoryRequirement) -> Mapping[str, int]:
        """Return what reserving `need` would take beyond what others hold of the same memory."""
        if not need.share:
            return need.memory
        group = shared_group(need)
        sharing = [r.need for r in self._reservations.values() if shared_group(r.need) == group]
        return {
            device: max(0, size - max((s.memory.get(device, 0) for s in sharing), default=0))
            for device, size in need.memory.items()
        }

    def balance(self, device: str, memory: DeviceMemory) -> DeviceBalance:
        """Compute what is free: the lesser of what is measured and what the cap leaves."""
        reserved = self._total(device, with_loading=True)
        # What still loads is promised, and no reading shows it yet.
        coming = reserved - self._total(device, with_loading=False)
        cap = self._caps.get(device, int(memory.total_bytes * DEFAULT_CAP_SHARE))
        cap = min(cap, memory.total_bytes)
        free = min(memory.available_bytes - coming, cap - reserved)
        return DeviceBalance(
            device=device,
            total_bytes=memory.total_bytes,
            available_bytes=memory.available_bytes,
            cap_bytes=cap,
            reserved_bytes=reserved,
            free_bytes=max(0, free),
            problem=memory.problem,
        )

    def _put(self, name: str, reservation: Reservation) -> None:
        self._reservations[name] = reservation
        change = (
            self._holders.add if any(reservation.need.memory.values()) else self._holders.discard
        )
        change(name)

    def _total(self, device: str, with_loading: bool) -> int:
        """Sum the bytes of one device, with what several share counted once."""
        groups: dict[str, int] = {}
        for name, reservation in self._reservations.items():
            if (with_loading or reservation.loaded) and (
                size := reservation.need.memory.get(device)
            ):
                group = shared_group(reservation.need) or f"model {name}"
                groups[group] = max(groups.get(group, 0), size)
        return sum(groups.values())


def shared_group(need: MemoryRequirement) -> str:
    """Name the memory that several models hold together; empty for memory of its own."""
    return f"share {need.share} on {need.device}" if need.share else ""
