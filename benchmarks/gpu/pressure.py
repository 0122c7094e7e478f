"""Out of memory: another program takes the device; what is said, and that it works again after."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.gpu.gauge import Gauge
from benchmarks.gpu.work import work
from benchmarks.tenants import TENANT
from config.errors import MotetError
from models.manager import Models

TAKE = """
import sys, torch
free, total = torch.cuda.mem_get_info()
kept = torch.empty(max(0, free - int(sys.argv[1])), dtype=torch.uint8, device="cuda")
print("taken", flush=True)
sys.stdin.read()
"""
LEAVES_BYTES = 1_500_000_000


async def show_out_of_memory(models: Models, gauge: Gauge, tiny: bool) -> None:
    """Print what each stage led to."""
    if gauge.device == "ram":
        print("Out of memory: only shown where there is a GPU.\n")
        return
    async with _taken():
        await _tried(models, tiny, "loading while others hold the device")
    await _tried(models, tiny, "loading after they let go")
    async with _taken():
        await _tried(models, tiny, "a large picture while others hold the rest", 2048)
    await _tried(models, tiny, "the same picture after they let go", 2048)
    await models.unload("sdxl")
    print(flush=True)


async def _tried(models: Models, tiny: bool, what: str, pixels: int = 1024) -> None:
    events: list[str] = []
    try:
        async for attempt in models.attempts(
            "sdxl",
            "image",
            on_event=lambda event: events.append(str(event.get("phase"))),
            tenant=TENANT,
        ):
            async with attempt as lease:
                told = await work(lease, tiny, pixels)
    except MotetError as error:
        told = f"refused, {error.code}: {error.message}"
    print(f"{what}: {told} [{', '.join(dict.fromkeys(events))}]", flush=True)


@asynccontextmanager
async def _taken() -> AsyncIterator[None]:
    """Another process holds all but a little of the device."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TAKE, str(LEAVES_BYTES)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        await process.stdout.readline()
        yield
    finally:
        process.stdin.close()
        await process.wait()
