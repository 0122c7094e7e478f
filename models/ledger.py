"""Who holds how much memory: reservations against caps and against what is really free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from models.devices import DeviceMemory
from models.drivers import Need

DEFAULT_CAP_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Reservation:
    """Memory set aside for one model. `settled`: it is loaded, so a reading counts it too."""

    need: Need
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

    def reserve(self, holder: str, need: Need) -> None:
        """Set `need` aside before loading."""
        self._held[holder] = Reservation(need)

    def settle(self, holder: str, memory_bytes: int | None) -> None:
        """It is loaded: the measurement, where there is one, replaces the estimate."""
        held = self._held[holder]
        need = held.need if memory_bytes is None else replace(held.need, memory_bytes=memory_bytes)
        self._held[holder] = Reservation(need, settled=True)

    def release(self, holder: str) -> None:
        self._held.pop(holder, None)

    def held_bytes(self, holder: str) -> int:
        held = self._held.get(holder)
        return held.need.memory_bytes if held else 0

    def balance(self, device: str, memory: DeviceMemory) -> DeviceBalance:
        """free = min(measured free, cap - reserved); what still loads is not yet measured."""
        held = [entry for entry in self._held.values() if entry.need.device == device]
        reserved = sum(entry.need.memory_bytes for entry in held)
        coming = sum(entry.need.memory_bytes for entry in held if not entry.settled)
        cap = self._caps.get(device, int(memory.total_bytes * DEFAULT_CAP_SHARE))
        cap = min(cap, memory.total_bytes)
        free = min(memory.available_bytes - coming, cap - reserved)
        return DeviceBalance(
            device, memory.total_bytes, memory.available_bytes, cap, reserved, max(0, free)
        )
