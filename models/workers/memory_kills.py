"""How often the kernel has ended a process of this machine because memory ran out."""

from __future__ import annotations

from pathlib import Path

VMSTAT = Path("/proc/vmstat")


def count_memory_kills() -> int:
    """Return the count since the machine started; 0 where the system tells none."""
    try:
        lines = VMSTAT.read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    except (OSError, ValueError, IndexError):
        return 0
