"""A manager over the models of a folder, and what it found on the machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from benchmarks.gpu.gauge import Gauge
from benchmarks.measure import show
from config.settings import load_settings
from models.manager import Models, open_models

GB = 1e9


@asynccontextmanager
async def opened(
    scratch: Path, folder: Path, gauge: Gauge, caps: Mapping[str, int] | None = None
) -> AsyncIterator[Models]:
    """The manager with `llama`, `sdxl` and `vits` declared. Nothing is loaded yet."""
    home = scratch / f"home-{len(list(scratch.iterdir()))}"
    home.mkdir()
    kinds = {
        "llama": {"task": "chat", "backend": "transformers"},
        "sdxl": {"task": "image", "backend": "diffusers"},
        "vits": {"task": "speech", "backend": "coqui"},
    }
    # Where the GPU is full they shall say so, and not go on for minutes on the CPU.
    declared = {
        name: {**kind, "source": str(folder / name), "cpu_fallback": gauge.device == "ram"}
        for name, kind in kinds.items()
    }
    file = {"version": 1, "models": declared, "memory_cap_bytes": dict(caps or {})}
    (home / "models.yaml").write_text(yaml.safe_dump(file))
    async with open_models(load_settings(home=home)) as models:
        yield models


def show_machine(models: Models) -> None:
    """Print the devices and what the ledger makes of them."""
    found = {each.name: each for each in models.accelerators}
    rows = [
        (
            balance.device,
            found[balance.device].model if balance.device in found else "",
            balance.total_bytes / GB,
            balance.available_bytes / GB,
            balance.cap_bytes / GB,
        )
        for balance in models.memory()
    ]
    show("Devices", ["device", "model", "GB in all", "GB free", "GB for models"], rows)
