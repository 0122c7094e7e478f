"""Runs of agents in processes that die, and what the next process makes of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from runs.record import Run, RunRequest
from tests.runs.conftest import ended
from tests.runs.disk import Disk
from tests.runs.story import Story
from tests.runs.world import Life, World


@dataclass
class Seen:
    """What a live reader saw: each event, with how much was committed when it came."""

    events: list[bytes] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def before(self, length: int) -> list[bytes]:
        """The events that were seen when no more than this was committed."""
        return [event for event, at in zip(self.events, self.lengths, strict=True) if at <= length]


@dataclass
class Told:
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


async def answer(life: Life, run: Run) -> None:
    """Answer the first of a run's open questions."""
    first = run.interrupts[0]
    await life.engine.resume(run.run_id, {first["id"]: answer_to(first["value"])})


async def follow(life: Life, run_id: str) -> Told:
    """Go with a run to its end; a person answers one question at a time."""
    while (run := await ended(life.engine, run_id)).status == "waiting":
        await answer(life, run)
    return Told(run, await log_of(life, run_id))


async def log_of(life: Life, run_id: str, after: int = 0) -> list[bytes]:
    """The run's events behind `after`, until it ends or waits."""

    async def read() -> list[bytes]:
        batches = life.engine.follow(run_id, after)
        return [event.json async for batch in batches for event in batch.events]

    return await asyncio.wait_for(read(), 10)


async def record(
    world: World, folder: Path, agent: str, input: Any, pause_s: float = 0.0
) -> tuple[Told, Disk, Seen]:
    """A run that is left in peace, with every state of the disk on its way."""
    folder.mkdir()
    async with world.life(folder) as life:
        run = await life.engine.submit(RunRequest(agent=agent, input=input))
        return await watch(life, run, Disk(folder / "runs.db", pause_s))


async def watch(life: Life, run: Run, disk: Disk) -> tuple[Told, Disk, Seen]:
    """Go with a run to its end, with every state of the disk on the way."""
    seen = Seen()
    disk.watch(life.database)
    while not run.ended:
        async for batch in life.engine.follow(run.run_id, len(seen.events)):
            seen.events += [event.json for event in batch.events]
            seen.lengths += [disk.length] * len(batch.events)
        if (run := await ended(life.engine, run.run_id)).status == "waiting":
            await answer(life, run)
    disk.freeze()
    return Told(run, seen.events), disk, seen
