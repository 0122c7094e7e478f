"""Load, run, unload: what was estimated, what the ledger holds, what NVML says."""

from __future__ import annotations

import time

from benchmarks.gpu.gauge import Gauge
from benchmarks.gpu.work import work
from benchmarks.measure import show
from benchmarks.tenants import TENANT
from models.catalog.spec import Task
from models.manager import Models

GB = 1e9
MODELS: dict[str, Task] = {"llama": "chat", "sdxl": "image", "vits": "speech"}


async def show_lifecycle(models: Models, gauge: Gauge, tiny: bool) -> None:
    """Print a row for each model; all memory in GB of the device."""
    rows = [await _lived(models, gauge, name, task, tiny) for name, task in MODELS.items()]
    show(
        f"One life of each model, GB of {gauge.device}",
        ["model", "runs on", "estimate", "ledger", "NVML", "peak", "left", "load s", "run s"],
        rows,
    )


async def _lived(
    models: Models, gauge: Gauge, name: str, task: Task, tiny: bool
) -> tuple[object, ...]:
    before = gauge.used_bytes()
    estimated = (await models.estimate(name))[0].memory.get(gauge.device, 0)
    begun = time.perf_counter()
    async with gauge.peak() as seen, models.lease(name, task, tenant=TENANT) as lease:
        loaded_s = time.perf_counter() - begun
        loaded = gauge.used_bytes() - before
        told = await work(lease, tiny)
        run_s = time.perf_counter() - begun - loaded_s
        status = next(each for each in models.status() if each.model.name == name)
    print(f"{name}: {told}; loaded in {loaded_s:.1f} s, used for {run_s:.1f} s", flush=True)
    await models.unload(name)
    left = gauge.used_bytes() - before
    held = (status.memory or {}).get(gauge.device, 0)
    numbers = [estimated, held, loaded, seen[-1] - before, left]
    return (name, status.device, *(number / GB for number in numbers), loaded_s, run_s)
