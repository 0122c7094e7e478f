"""Two models that do not fit together take turns: how long a swap takes, and how long it must."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.gpu.gauge import Gauge
from benchmarks.gpu.machine import opened
from benchmarks.measure import median, show
from benchmarks.tenants import TENANT
from models.catalog.spec import Task

ROUNDS = 2
TURNS: dict[str, Task] = {"llama": "chat", "sdxl": "image"}


async def show_swaps(scratch: Path, folder: Path, gauge: Gauge, bytes_a_second: float) -> None:
    """Print the seconds from asking for one, while the other is loaded, until it is lent."""
    caps = {} if gauge.device == "ram" else {gauge.device: await _cap(scratch, folder, gauge)}
    async with opened(scratch, folder, gauge, caps) as models:
        took: dict[str, list[float]] = {name: [] for name in TURNS}
        for round_ in range(ROUNDS + 1):
            for name, task in TURNS.items():
                begun = time.perf_counter()
                async with models.lease(name, task, tenant=TENANT):
                    swap_s = time.perf_counter() - begun
                    print(f"{name} is there after {swap_s:.2f} s", flush=True)
                    if round_:  # the first has nothing to unload, or reads from the disk
                        took[name].append(swap_s)
    rows = []
    for name in TURNS:
        size = sum(file.stat().st_size for file in (folder / name).rglob("*.safetensors"))
        floor_s = size / bytes_a_second if bytes_a_second else 0.0
        swap_s = median(took[name])
        ratio = swap_s / floor_s if floor_s else "-"
        rows.append((name, size / 1e9, swap_s, floor_s, ratio))
    heading = f"Swaps, the bus at {bytes_a_second / 1e9:.1f} GB/s"
    show(heading, ["to", "GB of weights", "swap s", "floor s", "times the floor"], rows)


async def _cap(scratch: Path, folder: Path, gauge: Gauge) -> int:
    """A cap that either of them fits in, and not both."""
    async with opened(scratch, folder, gauge) as models:
        needs = [(await models.estimate(name))[0].memory[gauge.device] for name in TURNS]
    return int(max(needs) * 1.15)
