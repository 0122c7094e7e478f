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
MEMINFO = Path("/proc/meminfo")
KIB = 1024
CACHE = ("inactive_file", "active_file", "file_mapped")
CACHE_1 = ("total_inactive_file", "total_active_file", "total_mapped_file")
"""Names in `memory.stat` of cgroups, by their version."""
UNLIMITED = 2**60
"""Version 1 of cgroups writes a number near 2**63 where there is no limit."""


class HostMemory:
    """RAM alone: what the machine has, or what this process's cgroup allows of it."""

    accelerators: Sequence[Accelerator] = ()

    def __init__(
        self, cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS, machine: Path = MEMINFO
    ) -> None:
        self._groups = _own_groups(cgroups, own)
        self._machine = machine

    def read(self) -> Mapping[str, DeviceMemory]:
        machine = psutil.virtual_memory()
        total = machine.total
        available = max(0, machine.available - self._mapped_bytes())
        for group in self._groups:
            if limited := group.read():
                total = min(total, limited.total_bytes)
                available = min(available, limited.available_bytes)
        return {RAM: DeviceMemory(total, available)}

    def _mapped_bytes(self) -> int:
        """Return what processes map of files, such as weights: the kernel calls that available,
        for it could be read again, but then at every use."""
        try:
            sizes = dict(line.split(":", 1) for line in self._machine.read_text().splitlines())
        except OSError:
            return 0
        mapped, shared = (int(sizes[name].split()[0]) * KIB for name in ("Mapped", "Shmem"))
        return max(0, mapped - shared)


@dataclass(frozen=True, slots=True)
class _Group:
    """One cgroup that may limit this process: its folder and its version's file names."""

    folder: Path
    limit: str
    usage: str
    inactive: str
    active: str
    mapped: str

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
        # The page cache counts as used, but the kernel gives it up before it kills anyone; not
        # gladly what processes map, such as weights.
        lines = (self.folder / "memory.stat").read_text().splitlines()
        sizes = {name: int(size) for name, _, size in (line.partition(" ") for line in lines)}
        inactive, active, mapped = (
            sizes.get(name, 0) for name in (self.inactive, self.active, self.mapped)
        )
        return max(0, min(inactive, inactive + active - mapped))


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
            files, sizes = ("memory.max", "memory.current"), CACHE
            root = cgroups
        elif "memory" in controllers.split(","):
            files, sizes = ("memory.limit_in_bytes", "memory.usage_in_bytes"), CACHE_1
            root = cgroups / "memory"
        else:
            continue
        inner = root / path.lstrip("/")
        # A container may see its own group mounted as the root, under another path than it reads.
        folders = [folder for folder in [inner, *inner.parents] if folder.is_relative_to(root)]
        groups += [_Group(folder, *files, *sizes) for folder in folders]
    return groups
