"""Many runs at once, in processes that end at random moments and in every way."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from orjson import loads

from runs.record import Run, RunRequest
from runs.threads import Threads
from tests.support.ollama import Ollama
from tests.support.runs.cases import CASES
from tests.support.runs.processes import Deployment, EngineProcess
from tests.support.runs.recording import answer_to, log_of
from tests.support.runs.story import Story
from tests.support.tenants import TENANT

LIVES = 30
RUNS = 10


@pytest.fixture
def world(ollama: Ollama) -> Iterator[Deployment]:
    return Deployment(ollama)


@dataclass
class Reader:
    """Someone who follows one run over all processes, and answers what it asks."""

    run: Run
    chance: random.Random
    seen: list[bytes] = field(default_factory=list)

    async def read(self, process: EngineProcess, patience: Patience) -> None:
        """Go on where the last process stopped, until the run ends."""
        engine, run_id = process.engine, self.run.run_id
        while not (run := engine.get(run_id, tenant=TENANT)).ended:
            async for batch in engine.follow(run_id, len(self.seen), tenant=TENANT):
                self.seen += [event.json for event in batch.events]
                patience.spend(len(batch.events))
            if (run := await engine.wait_ended(run_id, tenant=TENANT)).status == "waiting":
                for _ in range(self.chance.randint(0, 2)):
                    await self._edit(run, process)
                await engine.resume(run_id, self._some_answers(run), tenant=TENANT)
        async for batch in engine.follow(run_id, len(self.seen), tenant=TENANT):
            self.seen += [event.json for event in batch.events]

    async def _edit(self, run: Run, process: EngineProcess) -> None:
        """Write the input again, as nobody, or as a step that is to be done: it changes nothing."""
        if run.own_thread:
            return
        threads = Threads(process.store, process.checkpoints, process.engine)
        state = await threads.get_state(run.thread_id, tenant=TENANT)
        as_node = self.chance.choice([None, *state["next"]])
        await threads.update_state(run.thread_id, run.input, as_node=as_node, tenant=TENANT)

    def _some_answers(self, run: Run) -> dict[str, Any]:
        count = self.chance.randint(1, len(run.interrupts))
        chosen = self.chance.sample(run.interrupts, count)
        return {each["id"]: answer_to(each["value"]) for each in chosen}


class Patience:
    """Is over when so many events were seen."""

    def __init__(self, events: int) -> None:
        self._left = events
        self.over = asyncio.Event()

    def spend(self, events: int) -> None:
        self._left -= events
        if self._left <= 0:
            self.over.set()


@pytest.mark.parametrize("seed", range(6))
async def test_whenever_and_however_processes_end_every_run_comes_to_its_end(
    world: Deployment, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    agents = chance.choices(list(CASES), k=RUNS)
    readers: list[Reader] = []
    for number in range(LIVES):
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        grace_s = chance.choice([0, 0, 5])
        async with world.start_process(folder, grace_s, max_crashes=LIVES) as process:
            process.database._writing.execute("PRAGMA wal_autocheckpoint = 0")
            for agent in agents if not readers else ():
                request = RunRequest(
                    agent=agent,
                    input=CASES[agent][0],
                    tenant=TENANT,
                    thread_id=str(uuid4()) if len(readers) % 3 else None,
                    create_thread=True,
                )
                run = await process.engine.submit(request)
                readers.append(Reader(run, chance))
            patience = Patience(chance.randint(1, 12 * (number + 1)))
            if await read_all(readers, process, patience):
                await check(readers, process)
                return
            killed = chance.random() < 0.5
            if killed:
                copy(folder, tmp_path / str(number + 1))
        if not killed:
            copy(folder, tmp_path / str(number + 1))
    raise AssertionError("they did not come to their ends")


async def read_all(readers: list[Reader], process: EngineProcess, patience: Patience) -> bool:
    """Read until all runs have ended, which is true, or until patience is over."""
    reading = asyncio.gather(*(reader.read(process, patience) for reader in readers))
    tired = asyncio.create_task(patience.over.wait())
    await asyncio.wait([reading, tired], timeout=240, return_when=asyncio.FIRST_COMPLETED)
    ended = reading.done()
    tired.cancel()
    reading.cancel()
    await asyncio.gather(reading, tired, return_exceptions=True)
    if ended:
        reading.result()
    return ended


async def check(readers: list[Reader], process: EngineProcess) -> None:
    for reader in readers:
        run = process.engine.get(reader.run.run_id, tenant=TENANT)
        assert run.output == CASES[run.agent][1], run.error
        assert await log_of(process, run.run_id) == reader.seen
        Story([loads(line) for line in reader.seen]).check()


def copy(folder: Path, into: Path) -> None:
    """What is on disk now, the log of commits last: it only grows."""
    into.mkdir()
    for name in ("runs.db", "runs.db-wal"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, into / name)
