"""Whether ending a model returns its memory: before, loaded, used, after, for each back end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.measure import show
from benchmarks.small import declared, use
from benchmarks.tenants import TENANT
from config.settings import load_settings
from models.manager import Models, open_models

MB = 1e6


async def main() -> None:
    """Print a row for each model; memory is that of the manager's process and all its workers."""
    with tempfile.TemporaryDirectory(prefix="motet-memory-") as scratch:
        models_file = Path(scratch) / "models.yaml"
        entries = declared(Path(scratch))
        models_file.write_text(yaml.safe_dump({"version": 1, "models": entries}))
        # A spare would be counted with whichever model made it.
        settings = load_settings(home=Path(scratch), spare_worker=False)
        async with open_models(settings) as models:
            rows = [await _lived(models, name, entry) for name, entry in entries.items()]
    headings = ["model", "back end", "before", "loaded", "used", "after", "returned"]
    show("Memory of all processes, MB (proportional set size)", headings, rows)


async def _lived(models: Models, name: str, entry: Mapping[str, Any]) -> tuple[object, ...]:
    before = _held_mb()
    async with models.lease(name, entry["task"], tenant=TENANT) as lease:
        loaded = _held_mb()
        await use(lease)
        used = _held_mb()
    await models.unload(name)
    after = _held_mb()
    taken = max(used - before, 1.0)
    returned = f"{100 * (used - after) / taken:.0f} %"
    return (name, entry["backend"], *(f"{n:.0f}" for n in (before, loaded, used, after)), returned)


def _held_mb() -> float:
    """Shared pages are counted once, in shares."""
    own = psutil.Process(os.getpid())
    held = 0
    for process in [own, *own.children(recursive=True)]:
        try:
            held += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return held / MB
