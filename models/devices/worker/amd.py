"""AMD's GPUs, by what their kernel driver tells in /sys; amdsmi adds their names."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from models.devices.pci import PciDisplay, content, displays
from models.devices.raw import RawDevice

TOPOLOGY = "class/kfd/kfd/topology/nodes"


def find(sys: Path) -> Sequence[RawDevice]:
    """List the GPUs in the order in which HIP counts them.

    Without the compute driver they come by PCI address. Raises `RuntimeError`, with a sentence
    for people, where no GPU has a driver.
    """
    present = displays(sys, "amd")
    driven = [each for each in present if (each.folder / "mem_info_vram_total").is_file()]
    if present and not driven:
        raise RuntimeError("an AMD GPU is here, but its driver amdgpu is not loaded")
    order = _list_computing(sys)
    if order:
        driven = [each for each in driven if each.address in order]
        driven.sort(key=lambda each: order.index(each.address))
    names = _market_names() if driven else {}
    return [_device(sys, number, each, names) for number, each in enumerate(driven)]


def _device(sys: Path, number: int, display: PciDisplay, names: dict[str, str]) -> RawDevice:
    folder = display.folder
    name = names.get(display.address) or content(folder / "product_name")
    version = content(sys / "module/amdgpu/version") or f"Linux {platform.release()}"
    return RawDevice(
        vendor="amd",
        number=number,
        model=name or f"AMD GPU {content(folder / 'device')}",
        total_bytes=int(content(folder / "mem_info_vram_total")),
        driver=f"amdgpu, {version}",
        uuid=f"GPU-{content(folder / 'unique_id')}",
        folder=str(folder),
    )


def _list_computing(sys: Path) -> list[str]:
    """List the PCI addresses of the GPUs that the compute driver offers, in its order."""
    nodes = [node for node in (sys / TOPOLOGY).glob("*") if node.name.isdigit()]
    addresses = []
    for node in sorted(nodes, key=lambda node: int(node.name)):
        pairs = (line.split() for line in content(node / "properties").splitlines())
        values = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
        if values.get("simd_count"):
            location = values.get("location_id", 0)
            bus, device, function = location >> 8, location >> 3 & 0x1F, location & 7
            domain = values.get("domain", 0)
            addresses.append(f"{domain:04x}:{bus:02x}:{device:02x}.{function}")
    return addresses


def _market_names() -> dict[str, str]:
    """Ask amdsmi what the GPUs are sold as, by PCI address; empty where it does not work."""
    try:
        import amdsmi

        amdsmi.amdsmi_init()
        try:
            return {
                amdsmi.amdsmi_get_gpu_device_bdf(handle).lower(): amdsmi.amdsmi_get_gpu_asic_info(
                    handle
                )["market_name"]
                for handle in amdsmi.amdsmi_get_processor_handles()
            }
        finally:
            amdsmi.amdsmi_shut_down()
    except Exception:  # without ROCm it raises KeyError, and whatever else
        return {}
