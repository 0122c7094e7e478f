"""This machine: its RAM, and every accelerator that was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from models.devices import DeviceMemory
from models.devices.accelerator import Accelerator, Vendor
from models.devices.detect import DetectedDevices, detect, may_have_accelerators
from models.devices.host import HostMemory
from models.devices.readers import AmdReader, IntelReader, MemoryReader, NvidiaReader
from models.devices.timeout_reader import TimeoutReader

KEEP_S = 0.005
"""One decision reads several times; nothing that it should see happens in between."""


class Machine:
    """The `Devices` of a real machine."""

    def __init__(
        self,
        detected: DetectedDevices,
        host: HostMemory,
        readers: Sequence[TimeoutReader] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.detected = detected
        self._host = host
        self._readers_of_vendors = readers
        self._clock = clock
        self._read: Mapping[str, DeviceMemory] = {}
        self._fresh_until_s = float("-inf")

    @property
    def accelerators(self) -> Sequence[Accelerator]:
        return self.detected.accelerators

    def read(self) -> Mapping[str, DeviceMemory]:
        if self._clock() >= self._fresh_until_s:
            read = dict(self._host.read())
            for each in self._readers_of_vendors:
                read |= each.read()
            self._read = read
            self._fresh_until_s = self._clock() + KEEP_S
        return self._read


async def find_machine() -> Machine:
    """Find the machine that this process runs on. Does not raise.

    Takes some milliseconds without a GPU, and with one as long as its driver takes to answer, 15 s
    at most.
    """
    detected = await detect() if may_have_accelerators() else DetectedDevices()
    return Machine(detected, HostMemory(), _open_readers(detected))


def _open_readers(detected: DetectedDevices) -> list[TimeoutReader]:
    """Open a reader for each vendor whose devices have memory of their own."""
    own: dict[Vendor, list[Accelerator]] = {}
    for each in detected.accelerators:
        if not each.unified:
            own.setdefault(each.vendor, []).append(each)
    return [
        TimeoutReader(_open_reader(vendor, own[vendor], detected.folders), own[vendor])
        for vendor in own
    ]


def _open_reader(
    vendor: Vendor, own: Sequence[Accelerator], folders: Mapping[str, Path]
) -> MemoryReader:
    if vendor == "nvidia":
        return NvidiaReader(own)
    counted = {each.name: folders[each.name] for each in own if each.name in folders}
    return AmdReader(counted) if vendor == "amd" else IntelReader(own, counted)
