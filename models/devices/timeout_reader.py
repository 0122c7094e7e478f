"""Readings that neither hang nor fail: a driver is asked in a thread, for a bounded time.

Invariant: at most one thread asks a driver; while it hangs, the last reading stands, with the
reason.
"""

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
"""A driver that takes longer is taken to sleep or hang; the scheduler must not wait for it."""


class TimeoutReader:
    """The readings of one vendor's devices; where one cannot be had, the last with the reason."""

    def __init__(
        self, reader: MemoryReader, accelerators: Sequence[Accelerator], read_s: float = READ_S
    ) -> None:
        self._reader = reader
        self._read_s = read_s
        self._reading: threading.Thread | None = None
        self._problem = "it was not read yet"
        # What was never read has nothing free: no model is put where nobody can look.
        self._last = {
            each.name: DeviceMemory(each.total_bytes, 0, self._problem) for each in accelerators
        }

    def read(self) -> Mapping[str, DeviceMemory]:
        """Read by device name. Does not raise.

        Blocks for `read_s` at most, and only in the first of the calls that a driver does not
        answer.
        """
        wait_s = 0.0
        if self._reading is None:
            self._reading = threading.Thread(target=self._read_devices, name="devices", daemon=True)
            self._reading.start()
            wait_s = self._read_s
        # A thread that hangs in a driver cannot be ended: later calls look whether it came back.
        self._reading.join(wait_s)
        if self._reading.is_alive():
            self._set_problem(f"its driver has not answered for {self._read_s:g} s")
            return self._last_readings()
        self._reading = None
        return self._last_readings() if self._problem else self._last

    def _read_devices(self) -> None:
        try:
            self._last = {**self._last, **self._reader.read()}
        except Exception as error:
            self._set_problem(f"its driver fails: {error or type(error).__name__}")
        else:
            self._problem = ""

    def _set_problem(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("the memory of %s cannot be read: %s", ", ".join(self._last), problem)
        self._problem = problem

    def _last_readings(self) -> Mapping[str, DeviceMemory]:
        return {name: replace(last, problem=self._problem) for name, last in self._last.items()}
