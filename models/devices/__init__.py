"""The devices of this machine: which there are, and how much memory of each is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.devices.accelerator import Accelerator

RAM = "ram"
"""The machine's own memory, as the ledger counts it."""
CPU = "cpu"
"""Where a model computes that has no accelerator; it then takes RAM."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """One reading. `available_bytes` could be taken now without swapping.

    `problem`: why this is not what the device has now, for people; empty when it is.
    """

    total_bytes: int
    available_bytes: int
    problem: str = ""


class Devices(Protocol):
    """Reads the memory of every device that models may use."""

    def read(self) -> Mapping[str, DeviceMemory]:
        """Read what is free now, by device name; "ram" is always there. Takes under 1 ms.

        A device that cannot be read keeps its last reading, with the `problem`. Does not raise.
        """
        ...

    @property
    def accelerators(self) -> Sequence[Accelerator]:
        """What was found on this machine, the largest first."""
        ...
