"""What only a machine with a GPU can show: `python -m benchmarks gpu`.

Detection, the ledger beside NVML, loading, running, evicting and the memory that comes back, for
a language model, a picture model and a voice of realistic size; running out of memory and what
follows; and the time of a swap beside its floor. `--tiny` tries the same on a CPU, and
`--models=FOLDER` keeps the models that are made for it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.gpu.gauge import Gauge, bus_bytes_a_second
from benchmarks.gpu.lifecycle import show_lifecycle
from benchmarks.gpu.machine import opened, show_machine
from benchmarks.gpu.pressure import show_out_of_memory
from benchmarks.gpu.swap import show_swaps


async def main() -> None:
    """Make the models, then print one table after another."""
    tiny = "--tiny" in sys.argv
    named = [flag.partition("=")[2] for flag in sys.argv if flag.startswith("--models=")]
    with tempfile.TemporaryDirectory(prefix="motet-gpu-") as scratch:
        folder = Path(named[0] if named else scratch) / ("tiny" if tiny else "large")
        folder.mkdir(parents=True, exist_ok=True)
        make = [sys.executable, "-m", "benchmarks.gpu.random_models", str(folder)]
        await asyncio.to_thread(subprocess.run, [*make, *(["--tiny"] * tiny)], check=True)
        gauge = Gauge()
        async with opened(Path(scratch), folder, gauge) as models:
            show_machine(models)
            await show_lifecycle(models, gauge, tiny)
            await show_out_of_memory(models, gauge, tiny)
        await show_swaps(Path(scratch), folder, gauge, bus_bytes_a_second())
