"""GPUs and their like, as they were found on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Vendor = Literal["nvidia", "amd", "intel", "apple"]


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device. `name` is torch's ("cuda:0" also for AMD, "xpu:0", "mps").

    `unified`: it shares the machine's memory, and the ledger counts what it takes as "ram".
    `problem`: why PyTorch, and so a worker of ours, cannot use it; Ollama may all the same. A
    device whose torch name another vendor's device has is then named after its vendor ("amd:0").
    `uuid` is its driver's name for it.
    """

    name: str
    vendor: Vendor
    model: str
    total_bytes: int
    unified: bool = False
    driver: str = ""
    uuid: str = ""
    problem: str = ""
