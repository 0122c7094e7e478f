"""The worker's side of bounds on what it may take."""

from __future__ import annotations

import resource
from contextlib import suppress


def limit_memory(limit_bytes: int) -> None:
    """Bound the address space of this process: beyond, it gets `MemoryError`, or ends."""
    with suppress(ValueError, OSError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
