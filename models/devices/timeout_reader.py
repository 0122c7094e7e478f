"""Readings that neither hang nor fail: a driver is asked in a thread, for a bounded time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from models.devices import DeviceMemory
from models.devices.accelerator import Accelerator
from models.devices.readers import MemoryReader

log = logging.getLogger(__name__)

READ_S = 0.05


class TimeoutReader:
    """The readings of one vendor's devices; where one cannot be had, the last with the reason."""

    def __init__(
        self, reader: MemoryReader, accelerators: Sequence[Accelerator], read_s: float = READ_S
    ) -> None:
        self._reader = reader
        self._read_s = read_s
        self._asking: threading.Thread | None = None
        self._problem = "it was not read yet"
        # What was never read has nothing free: no model is put where nobody can look.
        self._last = {
            each.name: DeviceMemory(each.total_bytes, 0, self._problem) for each in accelerators
        }

    def read(self) -> Mapping[str, DeviceMemory]:
        """By device name. Takes `read_s` at most, and only in the first of the calls that a driver
        does not answer."""
        wait_s = 0.0
        if self._asking is None:
            self._asking = threading.Thread(target=self._ask, name="devices", daemon=True)
            self._asking.start()
            wait_s = self._read_s
        self._asking.join(wait_s)
        if self._asking.is_alive():
            self._say(f"its driver has not answered for {self._read_s:g} s")
            return self._stale()
        self._asking = None
        return self._stale() if self._problem else self._last

    def _ask(self) -> None:
        try:
            self._last = {**self._last, **self._reader.read()}
        except Exception as error:
            self._say(f"its driver fails: {error or type(error).__name__}")
        else:
            self._problem = ""

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("the memory of %s cannot be read: %s", ", ".join(self._last), problem)
        self._problem = problem

    def _stale(self) -> Mapping[str, DeviceMemory]:
        return {name: replace(last, problem=self._problem) for name, last in self._last.items()}
