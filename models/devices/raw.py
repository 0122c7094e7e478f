"""A device as its driver tells of it: what the detecting child hands to the server."""

from __future__ import annotations

from dataclasses import dataclass

from models.devices.accelerator import Vendor

VENDORS: tuple[Vendor, ...] = ("apple", "amd", "nvidia", "intel")
"""In the order in which they are looked for: those that may hang come last."""


@dataclass(frozen=True, slots=True)
class RawDevice:
    """One device of one vendor.

    `number`: the physical GPU that it is, or is a part of (`mig`), in the order of PCI addresses.
    `api`: the newest version of its vendor's interface that the driver speaks, e.g. (13, 0) for
    CUDA. `folder`: where its kernel driver keeps its counters. `usable`: PyTorch has seen it.
    """

    vendor: Vendor
    number: int
    model: str
    total_bytes: int
    driver: str = ""
    uuid: str = ""
    mig: bool = False
    unified: bool = False
    api: tuple[int, ...] = ()
    folder: str = ""
    usable: bool = False
