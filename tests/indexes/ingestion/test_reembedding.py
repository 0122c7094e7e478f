"""Another embedding model: the former serves until every passage is embedded anew."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.settings import load_settings
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from models.workers.process import Reply, WorkerProcess
from tests.support.indexes import HashingEmbedder, Models
from tests.support.tenants import TENANT

BOUND_S = 120
TEXTS = {
    f"{number}.md": f"Subject{number} is written about here, and nothing else."
    for number in range(70)
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


class Stopped(WorkerProcess):
    """A worker of which one call, or the answer to one, is held until it may go on."""

    held = ""
    reached = asyncio.Event()
    go_on = asyncio.Event()

    @classmethod
    def before(cls, method: str) -> None:
        cls.held, cls.reached, cls.go_on = f"before {method}", asyncio.Event(), asyncio.Event()

    @classmethod
    def after(cls, method: str) -> None:
        cls.before(method)
        cls.held = f"after {method}"

    async def call(self, method: str, *args: Any, **options: Any) -> Reply:
        await self._pass(f"before {method}")
        answer = await super().call(method, *args, **options)
        await self._pass(f"after {method}")
        return answer

    async def _pass(self, place: str) -> None:
        if place == Stopped.held:
            Stopped.held = ""
            self.reached.set()
            await self.go_on.wait()


@asynccontextmanager
async def opened(
    home: Path, models: Models, worker: type[WorkerProcess] = WorkerProcess
) -> AsyncIterator[Indexes]:
    opening = open_indexes(load_settings(home=home), models, worker=worker, tenant=TENANT)
    async with asyncio.timeout(BOUND_S), opening as indexes:
        yield indexes


@asynccontextmanager
async def filled(
    home: Path, models: Models, worker: type[WorkerProcess] = WorkerProcess
) -> AsyncIterator[Indexes]:
    async with opened(home, models, worker) as indexes:
        await indexes.create(IndexSpec(name="notes"), tenant=TENANT)
        for source, text in TEXTS.items():
            await add(indexes, source, text)
        yield indexes


async def add(indexes: Indexes, source: str, text: str) -> str:
    notes = await indexes.get("notes", tenant=TENANT)
    report = await notes.add_document(source=source, data=text.encode())
    return report.documents[0]


async def first(indexes: Indexes, query: str, mode: str = "hybrid") -> str:
    found = await indexes.search("notes", query, limit=1, mode=mode, tenant=TENANT)  # type: ignore[arg-type]
    return found[0].source


async def embedded_by(indexes: Indexes) -> str | None:
    notes = await indexes.get("notes", tenant=TENANT)
    return (await notes.describe()).embedded_by


def changed(models: Models, *, former: bool = True, held: bool = True) -> HashingEmbedder:
    """Let the role stand for another model, which embeds nothing in bulk while it is held."""
    if former:
        models.others["hashing-1"] = models.embedder
    models.embedder = HashingEmbedder("hashing-2", dimensions=32)
    if held:
        models.embedder.gate = asyncio.Event()
    return models.embedder


async def test_searches_and_ingests_go_on_during_reembedding(home: Path) -> None:
    models = Models()
    async with filled(home, models) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        former, new = models.embedder, changed(models)
        assert await first(indexes, "subject7", "dense") == "7.md"
        assert await embedded_by(indexes) == "hashing-1"
        assert former.seen["subject7"] == 1
        assert new.seen == {}
        assert new.gate
        await asyncio.wait_for(new.entered.wait(), BOUND_S)
        adding = asyncio.create_task(add(indexes, "new.md", "Something quite novel."))
        new.gate.set()
        await adding
        for mode in ("dense", "hybrid", "keyword"):
            assert await first(indexes, "quite novel something", mode) == "new.md"
        await notes.rebuild()
        assert await embedded_by(indexes) == "hashing-2"
        for mode in ("dense", "hybrid", "keyword"):
            assert await first(indexes, "quite novel something", mode) == "new.md"
            assert await first(indexes, "subject9", mode) == "9.md"
        assert new.seen["subject9"] >= 1
        assert max(new.seen[text] for text in TEXTS.values()) == 1


async def test_searches_never_fail_while_the_next_model_takes_over(home: Path) -> None:
    models = Models()
    async with filled(home, models) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        for _ in range(3):
            former = models.embedder
            models.others[former.fingerprint] = former
            other = "hashing-1" if former.fingerprint == "hashing-2" else "hashing-2"
            models.embedder = HashingEmbedder(other, dimensions=32 if other[-1] == "2" else 64)
            moving = asyncio.create_task(notes.rebuild())
            while not moving.done():
                queries = [f"subject{number}" for number in (3, 20, 60)]
                found = await asyncio.gather(*(first(indexes, query) for query in queries))
                assert found == ["3.md", "20.md", "60.md"]
            await moving
            assert await embedded_by(indexes) == other


async def test_index_whose_former_model_is_missing_is_searched_by_keywords_and_logged(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = Models()
    async with filled(home, models) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        new = changed(models, former=False)
        with caplog.at_level(logging.WARNING):
            for mode in ("dense", "hybrid"):
                assert await first(indexes, "subject7", mode) == "7.md"
        assert "degraded" in caplog.text
        assert new.gate
        new.gate.set()
        await add(indexes, "new.md", "Something quite novel.")
        assert await first(indexes, "novel") == "new.md"
        await notes.rebuild()
        assert await embedded_by(indexes) == "hashing-2"
        assert await first(indexes, "quite novel something", "dense") == "new.md"


async def test_what_was_embedded_before_a_restart_is_not_embedded_again(home: Path) -> None:
    models = Models()
    async with filled(home, models) as indexes:
        new = changed(models)
        await first(indexes, "subject7")
        assert new.gate
        # One batch through, and no more.
        await asyncio.wait_for(new.entered.wait(), BOUND_S)
        gate, new.gate = new.gate, asyncio.Event()
        new.entered.clear()
        gate.set()
        await asyncio.wait_for(new.entered.wait(), BOUND_S)
        done = dict(new.seen)
        assert 0 < len(done) < len(TEXTS)
    new.gate = None
    async with opened(home, models) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        await notes.rebuild()
        assert await embedded_by(indexes) == "hashing-2"
        assert all(new.seen[text] == 1 for text in TEXTS.values())
        assert await first(indexes, "subject7", "dense") == "7.md"


async def test_former_model_that_is_named_again_ends_the_move(home: Path) -> None:
    models = Models()
    async with filled(home, models) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        former, new = models.embedder, changed(models)
        await first(indexes, "subject7")
        await asyncio.wait_for(new.entered.wait(), BOUND_S)
        models.embedder = former
        assert new.gate
        new.gate.set()
        await notes.rebuild()
        assert await first(indexes, "subject7", "dense") == "7.md"


async def excerpts(indexes: Indexes) -> dict[str, float | None]:
    """What the best stretch of each passage counted for, by source."""
    found = await indexes.search(
        "notes", "subject7", limit=40, mode="dense", explain=True, tenant=TENANT
    )
    return {passage.source: (passage.why or {}).get("excerpt") for passage in found}


async def test_search_during_the_swap_compares_vectors_of_one_model(
    home: Path,
) -> None:
    models = Models()
    async with filled(home, models, Stopped) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        before = await excerpts(indexes)
        assert None not in before.values()
        Stopped.after("search")
        searching = asyncio.create_task(excerpts(indexes))
        await Stopped.reached.wait()
        models.embedder = HashingEmbedder("hashing-2")
        await notes.rebuild()
        assert await embedded_by(indexes) == "hashing-2"
        Stopped.go_on.set()
        for source, excerpt in (await searching).items():
            assert excerpt in (None, before[source])


@pytest.mark.parametrize("method", ["build", "apply", "swap"])
async def test_reembedding_survives_the_death_of_the_worker(home: Path, method: str) -> None:
    models = Models()
    async with filled(home, models, Stopped) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        changed(models, held=False)
        Stopped.before(method)
        moving = asyncio.create_task(notes.rebuild())
        await Stopped.reached.wait()
        assert indexes.worker
        os.kill(indexes.worker.pid, signal.SIGKILL)
        Stopped.go_on.set()
        await moving
        assert await embedded_by(indexes) == "hashing-2"
        assert await first(indexes, "subject7", "dense") == "7.md"
