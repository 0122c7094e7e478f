"""How much RAM a process takes, the files that it maps included.

Weights that are mapped from a file count whole. Their pages leave RAM when others need it and are
read again at the next use, so what is there at a moment says too little: a model would seem to
shrink while it rests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import psutil

KIB = 1024
NO_FILES = ("/dev/", "/memfd:")
"""How the names of mappings begin that no file on a disk is behind."""


def measure_ram(pid: int) -> int:
    """Return the bytes that a process takes. Raises `psutil.Error` when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
    except OSError:  # another system, another user's, or gone
        return int(psutil.Process(pid).memory_info().rss)
    return sum_ram(status.splitlines(), maps.splitlines())


def sum_ram(status: Iterable[str], maps: Iterable[str]) -> int:
    """Sum up what `/proc/PID/status` and `/proc/PID/maps` say. Pure."""
    sizes = dict(line.split(":", 1) for line in status if ":" in line)

    def resident(name: str) -> int:
        return int(sizes.get(name, "0").split()[0]) * KIB

    mapped = sum(map_data_files(maps).values())
    return resident("RssAnon") + resident("RssShmem") + max(resident("RssFile"), mapped)


def map_data_files(maps: Iterable[str]) -> dict[str, int]:
    """Return the bytes mapped of each file that is no program and no library. Pure."""
    parts: dict[str, dict[str, int]] = defaultdict(dict)
    programs: set[str] = set()
    for line in maps:
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or fields[4] == "0" or fields[5].startswith(NO_FILES):
            continue
        span, permissions, offset, _, _, path = fields
        if "x" in permissions:
            programs.add(path)
        start, end = (int(address, 16) for address in span.split("-"))
        # A part that is mapped twice is in RAM once.
        parts[path][offset] = max(end - start, parts[path].get(offset, 0))
    return {path: sum(each.values()) for path, each in parts.items() if path not in programs}
