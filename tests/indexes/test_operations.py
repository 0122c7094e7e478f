"""Thousands of random changes, with workers killed and restarts between: the index equals one
that was built from nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from config.settings import load_settings
from indexes.retrieval.query import Mode
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from tests.support.indexes import Models
from tests.support.tenants import TENANT

OPERATIONS = int(os.environ.get("MOTET_TEST_OPERATIONS", "10000"))
SEED = int(os.environ.get("MOTET_TEST_SEED", "1"))
BETWEEN_CHECKS, BETWEEN_KILLS, BETWEEN_RESTARTS = 2500, 4000, 4500
AT_ONCE = 8
WORDS = [f"{first}{last}" for first in ("oak", "elm", "ash", "yew") for last in "abcdefghijklmno"]
SOURCES = [f"{number}.txt" for number in range(40)]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "keyword")
EVERYTHING = 100


class Operations:
    """A random walk on the index `notes`; `texts` is what should be in it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.texts: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    async def several(self, indexes: Indexes, count: int) -> None:
        """At once, each on another document."""
        sources = self.random.sample(SOURCES, count)
        await asyncio.gather(*(self._one(indexes, source) for source in sources))

    async def _one(self, indexes: Indexes, source: str) -> None:
        notes = await indexes.get("notes", tenant=TENANT)
        choice = self.random.random()
        if choice < 0.2:
            await indexes.search(
                "notes", self.text(4), mode=self.random.choice(MODES), tenant=TENANT
            )
        elif choice < 0.5 and source in self.texts:
            del self.texts[source]
            await notes.delete_document(self.ids.pop(source))
        else:
            self.texts[source] = text = self.text(self.random.randint(3, 45))
            report = await notes.add_document(source=source, data=text.encode())
            (self.ids[source],) = report.documents

    def text(self, words: int) -> str:
        # Some words are rare: they come and go with their last document.
        chosen = self.random.choices(WORDS, [1 / (at + 1) for at in range(len(WORDS))], k=words)
        return " ".join(chosen)

    def queries(self) -> Iterator[tuple[str, Mode]]:
        for _ in range(4):
            query = self.text(5)
            yield from ((query, mode) for mode in MODES)


async def found(
    indexes: Indexes, name: str, query: str, mode: Mode
) -> dict[tuple[str, int], float]:
    passages = await indexes.search(name, query, limit=EVERYTHING, mode=mode, tenant=TENANT)
    assert len(passages) < EVERYTHING
    return {(passage.source, passage.start): passage.score for passage in passages}


async def assert_equals_one_built_anew(indexes: Indexes, operations: Operations) -> None:
    await indexes.create(IndexSpec(name="anew", chunk_words=20), tenant=TENANT)
    try:
        for source, text in operations.texts.items():
            await (await indexes.get("anew", tenant=TENANT)).add_document(
                source=source, data=text.encode()
            )
        for query, mode in operations.queries():
            expected = await found(indexes, "anew", query, mode)
            assert await found(indexes, "notes", query, mode) == pytest.approx(expected, abs=2e-6)
    finally:
        await indexes.delete("anew", tenant=TENANT)


async def test_after_random_operations_an_index_equals_one_built_from_nothing(
    tmp_path: Path,
) -> None:
    operations = Operations(Random(SEED))
    done = 0
    while done < OPERATIONS:
        async with open_indexes(load_settings(home=tmp_path), Models(), tenant=TENANT) as indexes:
            if not done:
                await indexes.create(IndexSpec(name="notes", chunk_words=20), tenant=TENANT)
            until = min(OPERATIONS, done + BETWEEN_RESTARTS)
            while done < until:
                await operations.several(indexes, AT_ONCE)
                if done % BETWEEN_KILLS >= BETWEEN_KILLS - AT_ONCE and indexes.worker:
                    os.kill(indexes.worker.pid, signal.SIGKILL)
                done += AT_ONCE
                if done % BETWEEN_CHECKS < AT_ONCE:
                    await assert_equals_one_built_anew(indexes, operations)
            await assert_equals_one_built_anew(indexes, operations)
