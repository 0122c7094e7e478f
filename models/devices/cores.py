"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def count_cores(cgroup: Path = CGROUP) -> int:
    """Count the physical cores that this process may use, as its container allows."""
    return max(1, min(_list_bounds(cgroup), default=1))


def _list_bounds(cgroup: Path) -> Iterator[int]:
    if physical := psutil.cpu_count(logical=False):
        yield physical
    if hasattr(os, "sched_getaffinity"):
        yield len(os.sched_getaffinity(0))
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        yield math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # there is no quota: "max", or a system without cgroups
