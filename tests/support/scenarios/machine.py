"""A small machine. Its memory is what processes really take: workers, and whoever else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Mapping
from subprocess import PIPE
from types import TracebackType

import psutil

from models.devices import DeviceMemory
from models.devices.accelerator import Accelerator

MB = 1_000_000
PROCESS_MB = 40
"""What a worker takes without weights, about."""

HOG = "import sys; kept = bytearray(b'x') * int(sys.argv[1]); print('full', flush=True); input()"


def children() -> frozenset[int]:
    """The processes that this one has begun, and theirs."""
    return frozenset(child.pid for child in psutil.Process().children(recursive=True))


def taken_bytes(server: int, others: Collection[int]) -> int:
    """What the processes begun by `server` take now, but for `others`."""
    taken = 0
    for child in psutil.Process(server).children(recursive=True):
        if child.pid not in others:
            try:
                taken += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    return taken


class SmallMachine:
    """`Devices` with so many megabytes of RAM, all of it free when this is made."""

    accelerators: tuple[Accelerator, ...] = ()

    def __init__(self, total_mb: int) -> None:
        self.total_bytes = total_mb * MB
        self.others = children()
        self.readings = 0
        self._server = psutil.Process().pid
        self._read = asyncio.Event()

    async def read_next(self) -> None:
        """Wait until the manager looks at the memory once more."""
        self._read.clear()
        await self._read.wait()

    @property
    def taken_bytes(self) -> int:
        return taken_bytes(self._server, self.others)

    def read(self) -> Mapping[str, DeviceMemory]:
        self.readings += 1
        self._read.set()
        free = max(0, self.total_bytes - self.taken_bytes)
        return {"ram": DeviceMemory(self.total_bytes, free)}


class Hog:
    """Another program of the machine, which has nothing to do with us and takes memory."""

    def __init__(self, megabytes: int) -> None:
        take = str((megabytes - 10) * MB)  # it is a process itself
        self._process = psutil.Popen(
            [sys.executable, "-c", HOG, take], stdin=PIPE, stdout=PIPE, text=True
        )

    def __enter__(self) -> Hog:
        assert self._process.stdout.readline() == "full\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
