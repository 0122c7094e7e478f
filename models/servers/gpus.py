"""How a container gets at the GPUs of this machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from models.devices.accelerator import Accelerator

CDI_ALL = "nvidia.com/gpu=all"
ROCM_DEVICES = ("/dev/kfd", "/dev/dri")


@dataclass(frozen=True, slots=True)
class GpuOptions:
    """What to ask the engine for. `why` explains a container that gets none, for people."""

    kind: Literal["nvidia", "rocm", "cpu"]
    device_requests: Sequence[Mapping[str, Any]] = ()
    devices: Sequence[str] = ()
    why: str = ""
    groups: Sequence[str] = field(default_factory=tuple)


def gpu_options(
    info: Mapping[str, Any], accelerators: Sequence[Accelerator], present: Sequence[str]
) -> GpuOptions:
    """Decide what a container asks the engine for, to get at the GPUs.

    `info` is what the engine says of itself; `present` the device files of this machine.
    """
    vendors = {each.vendor for each in accelerators}
    if "nvidia" in vendors:
        return _nvidia(info)
    if "amd" in vendors:
        return _rocm(present)
    if "apple" in vendors:
        return GpuOptions("cpu", why="A container cannot use Apple's GPU; the program can.")
    return GpuOptions("cpu", why="This machine has no GPU that the container could use.")


def _nvidia(info: Mapping[str, Any]) -> GpuOptions:
    device_ids = [str(each.get("ID", "")) for each in info.get("DiscoveredDevices") or ()]
    if CDI_ALL in device_ids:
        return GpuOptions("nvidia", [{"driver": "cdi", "device_ids": [CDI_ALL]}])
    if "nvidia" in (info.get("Runtimes") or {}):
        return GpuOptions("nvidia", [{"count": -1, "capabilities": [["gpu"]]}])
    return GpuOptions(
        "cpu",
        why="The container engine has no runtime for NVIDIA's GPUs: install the NVIDIA Container "
        "Toolkit. Until then the container computes on the CPU.",
    )


def _rocm(present: Sequence[str]) -> GpuOptions:
    missing = [device for device in ROCM_DEVICES if device not in present]
    if missing:
        why = f"{' and '.join(missing)} is not there: without it the container computes on the CPU."
        return GpuOptions("cpu", why=why)
    return GpuOptions("rocm", devices=ROCM_DEVICES, groups=("video",))
