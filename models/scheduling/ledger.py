"""Who holds how much memory: reservations against caps and against what is really free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.devices import DeviceMemory
from models.scheduling.requirement import MemoryRequirement

DEFAULT_CAP_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one model holds. `settled`: it is loaded, so a reading counts it too."""

    need: MemoryRequirement
    settled: bool = False


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
    """The reservations of all slots. Pure: readings are handed in."""

    def __init__(self, cap_bytes: Mapping[str, int]) -> None:
        self._caps = dict(cap_bytes)
        self._held: dict[str, Reservation] = {}

    def cap(self, cap_bytes: Mapping[str, int]) -> None:
        """Other caps from now on; what is reserved stays so."""
        self._caps = dict(cap_bytes)

    def reserve(self, holder: str, need: MemoryRequirement) -> None:
        """Set memory aside before loading."""
        self._held[holder] = Reservation(need)

    def settle(self, holder: str, memory: Mapping[str, int] | None) -> None:
        """It is loaded: the measurement, where there is one, replaces the estimate."""
        need = self._held[holder].need
        if memory is not None:
            need = replace(need, memory=dict(memory))
        self._held[holder] = Reservation(need, settled=True)

    def release(self, holder: str) -> None:
        self._held.pop(holder, None)

    def held(self, holder: str) -> Mapping[str, int]:
        """Bytes by device."""
        entry = self._held.get(holder)
        return entry.need.memory if entry else {}

    def adds(self, need: MemoryRequirement) -> Mapping[str, int]:
        """What reserving `need` would take beyond what others hold of the same memory."""
        if not need.share:
            return need.memory
        sharing = [e.need for e in self._held.values() if _group(e.need) == _group(need)]
        return {
            device: max(0, wanted - max((s.memory.get(device, 0) for s in sharing), default=0))
            for device, wanted in need.memory.items()
        }

    def balance(self, device: str, memory: DeviceMemory) -> DeviceBalance:
        """free = min(measured free, cap - reserved); what still loads is not yet measured."""
        reserved = self._sum(device, loading=True)
        coming = reserved - self._sum(device, loading=False)
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

    def _sum(self, device: str, loading: bool) -> int:
        """Bytes of one device, with what several share counted once."""
        groups: dict[str, int] = {}
        for holder, entry in self._held.items():
            if (loading or entry.settled) and (held := entry.need.memory.get(device)):
                group = _group(entry.need) or f"holder {holder}"
                groups[group] = max(groups.get(group, 0), held)
        return sum(groups.values())


def _group(need: MemoryRequirement) -> str:
    return f"share {need.share} on {need.device}" if need.share else ""
