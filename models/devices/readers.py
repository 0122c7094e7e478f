"""How much memory an accelerator has free, asked of its driver without a context on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from models.devices import DeviceMemory
from models.devices.accelerator import Accelerator

UNREADABLE = "its driver does not tell what is free; what Motet itself took is counted"


class MemoryReader(Protocol):
    """Reads the accelerators of one vendor."""

    def read(self) -> Mapping[str, DeviceMemory]:
        """Read by device name. May raise anything, and may hang where a driver does."""
        ...


class NvidiaReader:
    """By NVML, which makes no CUDA context. `nvml` is the module pynvml."""

    def __init__(self, accelerators: Sequence[Accelerator], nvml: Any = None) -> None:
        self._accelerators = accelerators
        self._nvml = nvml
        self._handles: dict[str, Any] = {}

    def read(self) -> Mapping[str, DeviceMemory]:
        if not self._handles:
            self._open()
        try:
            return {name: self._read_one(handle) for name, handle in self._handles.items()}
        except Exception:
            self._handles = {}  # a driver that was reloaded knows the old handles no more
            raise

    def _open(self) -> None:
        if self._nvml is None:
            import pynvml

            self._nvml = pynvml
        self._nvml.nvmlInit()
        self._handles = {
            each.name: self._nvml.nvmlDeviceGetHandleByUUID(each.uuid)
            for each in self._accelerators
        }

    def _read_one(self, handle: Any) -> DeviceMemory:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return DeviceMemory(int(memory.total), int(memory.free))


class AmdReader:
    """By the counters of the kernel driver."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders

    def read(self) -> Mapping[str, DeviceMemory]:
        return {name: self._read_one(folder) for name, folder in self._folders.items()}

    def _read_one(self, folder: Path) -> DeviceMemory:
        total = int((folder / "mem_info_vram_total").read_text())
        return DeviceMemory(total, total - int((folder / "mem_info_vram_used").read_text()))


class IntelReader:
    """By the kernel driver where it counts; else all of it is taken to be free."""

    def __init__(self, accelerators: Sequence[Accelerator], folders: Mapping[str, Path]) -> None:
        self._totals = {each.name: each.total_bytes for each in accelerators}
        self._counters = {
            name: file
            for name, folder in folders.items()
            for file in folder.glob("drm/card*/lmem_avail_bytes")
        }

    def read(self) -> Mapping[str, DeviceMemory]:
        return {name: self._read_one(name, total) for name, total in self._totals.items()}

    def _read_one(self, name: str, total: int) -> DeviceMemory:
        if file := self._counters.get(name):
            return DeviceMemory(total, int(file.read_text(), 0))
        return DeviceMemory(total, total, UNREADABLE)
