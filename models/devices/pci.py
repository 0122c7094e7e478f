"""The display devices on the PCI bus, as Linux lists them: a cheap look for GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.devices.accelerator import Vendor

SYS = Path("/sys")
VENDORS: dict[str, Vendor] = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
DISPLAY = "0x03"
INTEGRATED_INTEL = "0000:00:02.0"
"""Where every processor of Intel has its own graphics."""


@dataclass(frozen=True, slots=True)
class PciDisplay:
    """One display device. `address` is its PCI address, as in "0000:03:00.0"."""

    address: str
    vendor: Vendor
    folder: Path


def displays(sys: Path, vendor: Vendor) -> list[PciDisplay]:
    """List those of a vendor, by address; none where there is no PCI bus."""
    return sorted(
        (each for each in _displays(sys) if each.vendor == vendor), key=lambda each: each.address
    )


def _displays(sys: Path) -> Iterator[PciDisplay]:
    for folder in (sys / "bus/pci/devices").glob("*"):
        vendor = VENDORS.get(content(folder / "vendor"))
        if vendor and content(folder / "class").startswith(DISPLAY):
            yield PciDisplay(folder.name, vendor, folder)


def content(file: Path) -> str:
    """Read the text of a small file; empty where it cannot be read."""
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
