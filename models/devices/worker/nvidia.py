"""NVIDIA's GPUs, and the parts that they are divided into (MIG), by NVML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models.devices.pci import displays
from models.devices.raw import RawDevice

NO_LIBRARY = (
    "an NVIDIA GPU is here, but nvidia-ml-py, which looks at it, is not: pip install -e '.[gpu]'"
)
NO_DRIVER = (
    "an NVIDIA GPU is here, but not its driver ({error}): install it, or start the container "
    "with the GPU (docker run --gpus all)"
)


def find(sys: Path) -> Sequence[RawDevice]:
    """List the GPUs by PCI address, as NVML counts them.

    Raises `RuntimeError`, with a sentence for people, where the driver does not answer.
    """
    try:
        import pynvml
    except ImportError as error:
        if displays(sys, "nvidia"):
            raise RuntimeError(NO_LIBRARY) from error
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if displays(sys, "nvidia"):
            raise RuntimeError(NO_DRIVER.format(error=error)) from error
        return ()
    try:
        return list(_devices(pynvml))
    finally:
        pynvml.nvmlShutdown()


def _devices(nvml: Any) -> Iterator[RawDevice]:
    driver = _text(nvml.nvmlSystemGetDriverVersion())
    version = int(nvml.nvmlSystemGetCudaDriverVersion())
    api = (version // 1000, version % 1000 // 10)
    for number in range(nvml.nvmlDeviceGetCount()):
        try:
            gpu = nvml.nvmlDeviceGetHandleByIndex(number)
            parts = _parts(nvml, gpu)
        except nvml.NVMLError:
            continue  # lost, or not ours: CUDA does not count it either
        for handle in [gpu] if parts is None else parts:
            total = _total_bytes(nvml, handle)
            yield RawDevice(
                vendor="nvidia",
                number=number,
                model=_text(nvml.nvmlDeviceGetName(handle)),
                total_bytes=total or 0,
                driver=driver,
                uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
                mig=parts is not None,
                unified=total is None,
                api=api,
            )


def _parts(nvml: Any, gpu: Any) -> list[Any] | None:
    """List the parts of a divided GPU; None when it is whole."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(gpu)
    except nvml.NVMLError:  # it cannot be divided
        return None
    if not current:
        return None
    parts = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            parts.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index))
        except nvml.NVMLError:
            continue
    return parts


def _total_bytes(nvml: Any, handle: Any) -> int | None:
    """Read the size; None where the GPU has no memory of its own, as in a Grace or Jetson board."""
    try:
        return int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    except nvml.NVMLError_NotSupported:
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
