"""Intel's GPUs: by PyTorch where it is built for them, else by /sys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.devices.pci import INTEGRATED_INTEL, PciDisplay, content, displays
from models.devices.raw import RawDevice
from models.devices.torch_build import read_torch_build

MEMORY_FILES = ("lmem_total_bytes", "drm/card*/lmem_total_bytes", "tile*/physical_vram_size_bytes")


def find(sys: Path) -> Sequence[RawDevice]:
    """List the GPUs as PyTorch counts them; else those that have memory of their own."""
    present = displays(sys, "intel")
    if present and read_torch_build().xpu and (torch_devices := _list_by_torch(present)):
        return torch_devices
    own = [each for each in present if each.address != INTEGRATED_INTEL]
    return [
        RawDevice(
            vendor="intel",
            number=number,
            model=f"Intel GPU {content(each.folder / 'device')}",
            total_bytes=_total_bytes(each.folder),
            driver=_driver(each.folder),
            folder=str(each.folder),
        )
        for number, each in enumerate(own)
    ]


def _list_by_torch(present: Sequence[PciDisplay]) -> list[RawDevice]:
    import torch

    if not torch.xpu.is_available():
        return []
    integrated = all(each.address == INTEGRATED_INTEL for each in present)
    # Only with one of each is it certain which folder in /sys is which of PyTorch's devices.
    folder = str(present[0].folder) if len(present) == torch.xpu.device_count() == 1 else ""
    devices = []
    for number in range(torch.xpu.device_count()):
        properties = torch.xpu.get_device_properties(number)
        devices.append(
            RawDevice(
                vendor="intel",
                number=number,
                model=properties.name,
                total_bytes=int(properties.total_memory),
                driver=str(getattr(properties, "driver_version", "")),
                unified=integrated,
                folder=folder,
                usable=True,
            )
        )
    return devices


def _total_bytes(folder: Path) -> int:
    for pattern in MEMORY_FILES:
        values = [content(file) for file in folder.glob(pattern)]
        if values:
            return sum(int(value, 0) for value in values)
    return 0


def _driver(folder: Path) -> str:
    try:
        return (folder / "driver").resolve(strict=True).name
    except OSError:
        return ""
