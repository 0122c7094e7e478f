"""How much RAM this machine has, read the way a container must read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from models.devices import RAM, DeviceMemory
from models.devices.accelerator import Accelerator

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
UNLIMITED = 2**60
"""Version 1 of cgroups writes a number near 2**63 where there is no limit."""


class HostMemory:
    """RAM alone: what the machine has, or what this process's cgroup allows of it."""

    accelerators: Sequence[Accelerator] = ()

    def __init__(self, cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> None:
        self._groups = _own_groups(cgroups, own)

    def read(self) -> Mapping[str, DeviceMemory]:
        machine = psutil.virtual_memory()
        total, available = machine.total, machine.available
        for group in self._groups:
            if limited := group.read():
                total = min(total, limited.total_bytes)
                available = min(available, limited.available_bytes)
        return {RAM: DeviceMemory(total, available)}


@dataclass(frozen=True, slots=True)
class _Group:
    """One cgroup that may limit this process: its folder and its version's file names."""

    folder: Path
    limit: str
    usage: str
    reclaimable: str

    def read(self) -> DeviceMemory | None:
        try:
            limit = (self.folder / self.limit).read_text().strip()
            if limit == "max" or int(limit) >= UNLIMITED:
                return None
            used = int((self.folder / self.usage).read_text()) - self._reclaimable_bytes()
        except (OSError, ValueError):
            return None
        return DeviceMemory(int(limit), max(0, int(limit) - used))

    def _reclaimable_bytes(self) -> int:
        # The page cache counts as used, but the kernel gives it up before it kills anyone.
        for line in (self.folder / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == self.reclaimable:
                return int(value)
        return 0


def _own_groups(cgroups: Path, own: Path) -> list[_Group]:
    """Find the memory cgroup of this process and all above it: each may hold the tightest limit."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    groups: list[_Group] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names = ("memory.max", "memory.current", "inactive_file")
            root = cgroups
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            root = cgroups / "memory"
        else:
            continue
        inner = root / path.lstrip("/")
        # A container may see its own group mounted as the root, under another path than it reads.
        folders = [folder for folder in [inner, *inner.parents] if folder.is_relative_to(root)]
        groups += [_Group(folder, *names) for folder in folders]
    return groups
