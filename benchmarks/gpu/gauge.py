"""Reads how full the device is, from outside of Motet."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator

import psutil

COPY = """
import torch, time
if not torch.cuda.is_available():
    raise SystemExit("0")
host = torch.empty(2**30, dtype=torch.uint8, pin_memory=True)
there = torch.empty_like(host, device="cuda")
for round in range(4):
    torch.cuda.synchronize(); begun = time.perf_counter()
    there.copy_(host); torch.cuda.synchronize()
print(host.numel() / (time.perf_counter() - begun))
"""
SAMPLE_S = 0.02


class Gauge:
    """The memory in use of the first GPU, by NVML; of the machine where there is none."""

    def __init__(self) -> None:
        self.device = "ram"
        with contextlib.suppress(Exception):
            import pynvml

            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            self._nvml = pynvml
            self.device = "cuda:0"

    def used_bytes(self) -> int:
        if self.device == "ram":
            memory = psutil.virtual_memory()
            return int(memory.total - memory.available)
        return int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used)

    @contextlib.asynccontextmanager
    async def peak(self) -> AsyncIterator[list[int]]:
        """A list whose last entry is the most that was in use meanwhile."""
        seen = [self.used_bytes()]

        async def watch() -> None:
            while True:
                seen.append(max(seen[-1], self.used_bytes()))
                await asyncio.sleep(SAMPLE_S)

        watching = asyncio.create_task(watch(), name="gauge")
        try:
            yield seen
        finally:
            watching.cancel()


def bus_bytes_a_second() -> float:
    """From pinned memory to the GPU, measured; 0 without one."""
    done = subprocess.run([sys.executable, "-c", COPY], capture_output=True, text=True, check=False)
    return float(done.stdout.strip() or 0)
