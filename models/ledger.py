"""Who holds how much memory: reservations against caps and against what is really free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.devices import DeviceMemory

DEFAULT_CAP_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Reservation:
    """Bytes by device, set aside for one model. `settled`: loaded, so a reading counts them too."""

    memory: Mapping[str, int]
    settled: bool = False


@dataclass(frozen=True, slots=True)
class DeviceBalance:
    """One device as the ledger sees it. `free_bytes` is what a new model may take."""

    device: str
    total_bytes: int
    available_bytes: int
    cap_bytes: int
    reserved_bytes: int
    free_bytes: int

    def as_dict(self) -> dict[str, int | str]:
        return {name: getattr(self, name) for name in self.__slots__}


class Ledger:
    """The reservations of all slots. Pure: readings are handed in."""

    def __init__(self, cap_bytes: Mapping[str, int]) -> None:
        self._caps = dict(cap_bytes)
        self._held: dict[str, Reservation] = {}

    def reserve(self, holder: str, memory: Mapping[str, int]) -> None:
        """Set memory aside before loading."""
        self._held[holder] = Reservation(memory)

    def settle(self, holder: str, memory: Mapping[str, int] | None) -> None:
        """It is loaded: the measurement, where there is one, replaces the estimate."""
        held = self._held[holder].memory if memory is None else memory
        self._held[holder] = Reservation(held, settled=True)

    def release(self, holder: str) -> None:
        self._held.pop(holder, None)

    def held(self, holder: str) -> Mapping[str, int]:
        """Bytes by device."""
        entry = self._held.get(holder)
        return entry.memory if entry else {}

    def balance(self, device: str, memory: DeviceMemory) -> DeviceBalance:
        """free = min(measured free, cap - reserved); what still loads is not yet measured."""
        reserved = sum(entry.memory.get(device, 0) for entry in self._held.values())
        coming = sum(e.memory.get(device, 0) for e in self._held.values() if not e.settled)
        cap = self._caps.get(device, int(memory.total_bytes * DEFAULT_CAP_SHARE))
        cap = min(cap, memory.total_bytes)
        free = min(memory.available_bytes - coming, cap - reserved)
        return DeviceBalance(
            device, memory.total_bytes, memory.available_bytes, cap, reserved, max(0, free)
        )
