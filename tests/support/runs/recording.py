"""Runs of agents in processes that die, and what the next process makes of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from runs.record import Run, RunRequest
from tests.support.runs.disk import Disk
from tests.support.runs.engines import ended
from tests.support.runs.processes import Deployment, EngineProcess
from tests.support.runs.story import Story
from tests.support.tenants import TENANT


@dataclass
class LiveReader:
    """What a live reader saw: each event, with how much was committed when it came."""

    events: list[bytes] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def before(self, length: int) -> list[bytes]:
        """The events that were seen when no more than this was committed."""
        return [event for event, at in zip(self.events, self.lengths, strict=True) if at <= length]


@dataclass
class RecordedRun:
    """A run that came to its end: its record and its log, as bytes and as a story."""

    run: Run
    log: list[bytes]

    @property
    def story(self) -> Story:
        return Story([orjson.loads(line) for line in self.log])


def answer_to(question: Any) -> Any:
    """What the person says: every question gets an answer of its own."""
    asked = question.get("message") or question["question"]
    word = f"yes to {asked.rstrip('?')}".replace(" ", "-")
    return {"word": word, "count": 2} if question.get("schema") else word


async def answer(process: EngineProcess, run: Run) -> None:
    """Answer the first of a run's open questions."""
    first = run.interrupts[0]
    await process.engine.resume(run.run_id, {first["id"]: answer_to(first["value"])}, tenant=TENANT)


async def follow(process: EngineProcess, run_id: str) -> RecordedRun:
    """Go with a run to its end; a person answers one question at a time."""
    while (run := await ended(process.engine, run_id)).status == "waiting":
        await answer(process, run)
    return RecordedRun(run, await log_of(process, run_id))


async def log_of(process: EngineProcess, run_id: str, after: int = 0) -> list[bytes]:
    """The run's events behind `after`, until it ends or waits."""

    async def read() -> list[bytes]:
        batches = process.engine.follow(run_id, after, tenant=TENANT)
        return [event.json async for batch in batches for event in batch.events]

    return await asyncio.wait_for(read(), 240)


async def record(
    world: Deployment, folder: Path, agent: str, input: Any, pause_s: float = 0.0
) -> tuple[RecordedRun, Disk, LiveReader]:
    """A run that is left in peace, with every state of the disk on its way."""
    folder.mkdir()
    async with world.start_process(folder) as process:
        run = await process.engine.submit(RunRequest(agent=agent, input=input, tenant=TENANT))
        return await watch(process, run, Disk(folder / "runs.db", pause_s))


async def watch(
    process: EngineProcess, run: Run, disk: Disk
) -> tuple[RecordedRun, Disk, LiveReader]:
    """Go with a run to its end, with every state of the disk on the way."""
    seen = LiveReader()
    disk.watch(process.database)
    while not run.ended:
        async for batch in process.engine.follow(run.run_id, len(seen.events), tenant=TENANT):
            seen.events += [event.json for event in batch.events]
            seen.lengths += [disk.length] * len(batch.events)
        if (run := await ended(process.engine, run.run_id)).status == "waiting":
            await answer(process, run)
    disk.freeze()
    return RecordedRun(run, seen.events), disk, seen
