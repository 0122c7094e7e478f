"""A disk that takes nothing: a bound on the size of a process's files stands for it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from benchmarks.server import ServerProcess


@contextmanager
def full(server: ServerProcess, size_bytes: int = 0) -> Iterator[None]:
    """No file of the server may grow beyond a size. It may be killed meanwhile."""
    with largest_file(size_bytes, server.process.pid):
        yield


@contextmanager
def largest_file(size_bytes: int, pid: int = 0) -> Iterator[None]:
    """No file of a process, this one if none is named, may grow beyond a size."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
