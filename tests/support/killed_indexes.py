"""A small process that changes indexes at random until it is killed, again and again.

`python -m tests.support.killed_indexes HOME SEED KILLS`: each life is a fork, which first checks
what the lives before it have left, then goes on. With `workers` at the end the process lives and
only its index worker is killed. What was begun and what was acknowledged stands in a journal
beside HOME. The last line printed counts kills by what they hit.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, TextIO

from config.errors import Busy, Unavailable
from config.settings import load_settings
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from tests.support.indexes import HashingEmbedder, Models
from tests.support.tenants import TENANT

SOURCES = [f"{number}.txt" for number in range(12)]
COPY = "copy"
"""Stands in the journal beside the sources: the words of an index imported out of a snapshot."""
ABSENT = ""
VERIFIED, BEGUN = b"v", b"b"
FINGERPRINTS = ("hashing-1", "hashing-2")
WORKER_KILLS_BETWEEN_RESTARTS = 7
"""More deaths within a minute, and the index worker is taken for broken."""


class Journal:
    """What was begun and what was acknowledged, by source: the word that its text holds."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_RDWR)
        self.settled = dict.fromkeys([*SOURCES, COPY], ABSENT)
        self.begun: dict[str, list[str]] = {source: [] for source in self.settled}
        self.used: set[str] = set()
        for line in path.read_text().splitlines():
            self._follow(*json.loads(line))

    def write(self, event: str, source: str, word: str) -> None:
        os.write(self._file, f"{json.dumps([event, source, word])}\n".encode())
        self._follow(event, source, word)

    def _follow(self, event: str, source: str, word: str) -> None:
        if event == "begin":
            self.begun[source].append(word)
            self.used |= set(word.split())
            return
        self.settled[source] = word
        self.begun[source] = []

    def possible(self, source: str) -> set[str]:
        return {self.settled[source], *self.begun[source]}


def text_of(word: str) -> str:
    """Passages, some or many, each of them with the word."""
    count = 1 + ord(word[2]) - ord("a")
    parts = ([f"{word} part{part} line{line}" for line in range(5)] for part in range(count))
    return "\n\n".join(" ".join(part) for part in parts)


class AbortOnError(logging.StreamHandler[TextIO]):
    """Nothing may fail unseen in the background, but for want of a worker."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if record.levelno >= logging.ERROR:
            error = record.exc_info[1] if record.exc_info else None
            if not isinstance(error, Unavailable):
                os._exit(1)


class IndexProcess:
    def __init__(
        self, home: Path, random: Random, journal: Journal, tell: Callable[[bytes], object]
    ) -> None:
        self.home, self.random, self.journal, self.tell = home, random, journal, tell
        self.killed_workers = 0
        self.models = Models(others={each: HashingEmbedder(each) for each in FINGERPRINTS})

    async def live(self) -> None:
        self.models.embedder = self.models.others[self.random.choice(FINGERPRINTS)]
        async with open_indexes(
            load_settings(home=self.home), self.models, tenant=TENANT
        ) as indexes:
            if "notes" not in await self.names(indexes):
                await indexes.create(IndexSpec(name="notes", chunk_words=20), tenant=TENANT)
            await self.verify(indexes)
            self.tell(VERIFIED)
            while True:
                await self.several(indexes)

    async def outlive_workers(self, kills: int) -> None:
        """Each life ends well, after some deaths of the worker."""
        while self.killed_workers < kills:
            async with open_indexes(
                load_settings(home=self.home), self.models, tenant=TENANT
            ) as indexes:
                if "notes" not in await self.names(indexes):
                    await indexes.create(IndexSpec(name="notes", chunk_words=20), tenant=TENANT)
                for _ in range(WORKER_KILLS_BETWEEN_RESTARTS):
                    await asyncio.gather(self.several(indexes), self.kill_worker(indexes))
                    await self.verify(indexes)

    async def names(self, indexes: Indexes) -> list[str]:
        return [info.name for info in await indexes.list(tenant=TENANT)]

    async def verify(self, indexes: Indexes) -> None:
        """What there is was begun, and is there if it was acknowledged; nothing else is."""
        for source, word in (await self.contents(indexes, "notes")).items():
            possible = self.journal.possible(source)
            assert word in possible, f"{source} holds '{word}', not one of {possible}"
            # From now on this is what is there.
            self.journal.write("found", source, word)
        copied = ABSENT
        if COPY in await self.names(indexes):
            copied = joined(await self.contents(indexes, COPY))
        possible = self.journal.possible(COPY)
        assert copied in possible, f"the copy holds '{copied}', not one of {possible}"
        self.journal.write("found", COPY, copied)
        present = set(" ".join(self.journal.settled.values()).split())
        gone = sorted(self.journal.used - present)
        for word in self.random.sample(gone, min(5, len(gone))):
            assert not await indexes.search("notes", word, mode="keyword", tenant=TENANT), (
                f"'{word}' came back"
            )
        self.check_files(set(gone))

    async def contents(self, indexes: Indexes, name: str) -> dict[str, str]:
        """The word of each source. All documents are whole, and found by all ways of searching."""
        words = dict.fromkeys(SOURCES, ABSENT)
        index = await indexes.get(name, tenant=TENANT)
        for each in await index.list_documents(limit=1000):
            document = await index.get_document(each.id)
            words[each.source] = word = document.text.split()[0]
            assert document.text == text_of(word), f"{each.source} is half a document"
            found = await indexes.search(name, word, mode="keyword", limit=20, tenant=TENANT)
            assert len(found) == document.passages, f"{len(found)} passages of {each.source}"
            assert {passage.source for passage in found} == {each.source}
            (nearest,) = await indexes.search(
                name, f"{word} part0", mode="dense", limit=1, tenant=TENANT
            )
            assert nearest.source == each.source, f"by its meaning {nearest.source} is found"
        return words

    def check_files(self, gone: set[str]) -> None:
        for path in files(self.home):
            with suppress(FileNotFoundError):
                words = set(re.findall(rb"xq[a-p]{11}zx", path.read_bytes()))
                left = {word.decode() for word in words} & gone
                assert not left, f"{path} still holds {left}"

    async def several(self, indexes: Indexes) -> None:
        notes = await indexes.get("notes", tenant=TENANT)
        choice = self.random.random()
        if choice < 0.15:
            self.tell(BEGUN)
            await asyncio.gather(notes.rebuild(), self.changes(indexes))
        elif choice < 0.2:
            await self.kill_worker(indexes)
        elif choice < 0.3:
            self.models.embedder = self.models.others[self.random.choice(FINGERPRINTS)]
            await asyncio.gather(
                indexes.search("notes", "part1", tenant=TENANT), self.changes(indexes)
            )
        elif choice < 0.55:
            await self.copy(indexes)
        else:
            await self.changes(indexes)

    async def kill_worker(self, indexes: Indexes) -> None:
        await asyncio.sleep(self.random.uniform(0, 0.1))
        if worker := indexes.worker:
            # It may have been killed, and waited for, a moment ago.
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
                self.killed_workers += 1

    async def copy(self, indexes: Indexes) -> None:
        """Make an index out of a snapshot, or delete that which there is."""
        notes = await indexes.get("notes", tenant=TENANT)
        if COPY in await self.names(indexes):
            await self.acknowledged(COPY, ABSENT, indexes.delete(COPY, tenant=TENANT))
            return
        path = self.home.parent / f"{self.home.name}.snapshot"
        try:
            await notes.export(path)
        except Busy:  # another model is embedding it
            return
        words = joined({source: self.journal.settled[source] for source in SOURCES})
        await self.acknowledged(COPY, words, indexes.import_snapshot(path, COPY, tenant=TENANT))

    async def changes(self, indexes: Indexes) -> None:
        chosen = self.random.sample(SOURCES, 3)
        await asyncio.gather(*(self.change(indexes, source) for source in chosen))

    async def change(self, indexes: Indexes, source: str) -> None:
        notes = await indexes.get("notes", tenant=TENANT)
        if self.journal.settled[source] and self.random.random() < 0.4:
            documents = await notes.list_documents(limit=1000)
            id = next(d.id for d in documents if d.source == source)
            await self.acknowledged(source, ABSENT, notes.delete_document(id))
        else:
            word = f"xq{''.join(self.random.choices('abcdefghijklmnop', k=11))}zx"
            data = text_of(word).encode()
            work = notes.add_document(source=source, data=data)
            await self.acknowledged(source, word, work)

    async def acknowledged(self, source: str, word: str, work: Awaitable[Any]) -> None:
        self.journal.write("begin", source, word)
        self.tell(BEGUN)
        await work
        self.journal.write("done", source, word)


def joined(words: dict[str, str]) -> str:
    return " ".join(word for _, word in sorted(words.items()) if word)


def files(folder: Path) -> Iterator[Path]:
    """Those that are there, while others come and go."""
    for root, _, names in os.walk(folder):
        yield from (Path(root) / name for name in names)


def one_life(home: Path, random: Random, journal: Path) -> tuple[bool, bool]:
    """Fork, kill it after a while; whether it had verified, and whether it failed by itself."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            life = IndexProcess(home, random, Journal(journal), lambda told: os.write(write, told))
            asyncio.run(life.live())
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(write)
    seen = await_moment(read, random)
    os.close(read)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return VERIFIED in seen, not os.WIFSIGNALED(status)


def await_moment(read: int, random: Random) -> bytes:
    """Wait for a moment to kill a life at; what it told before."""
    seen = b""
    if random.random() < 0.75:
        # Soon after something was begun, which may be the start.
        for _ in range(random.randrange(10)):
            seen += os.read(read, 1)
        time.sleep(random.uniform(0, 0.04))
    else:
        time.sleep(random.uniform(0, 0.8))
    os.set_blocking(read, False)
    with suppress(BlockingIOError):
        seen += os.read(read, 1000)
    return seen


def main() -> None:
    home, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    journal = home.parent / f"{home.name}.journal"
    logging.basicConfig(level=logging.WARNING, handlers=[AbortOnError()])
    hit: Counter[str] = Counter()
    if sys.argv[4:] == ["workers"]:
        life = IndexProcess(home, Random(seed), Journal(journal), lambda told: None)
        asyncio.run(life.outlive_workers(kills))
        hit["worker"], kills = life.killed_workers, 0
    for number in range(kills):
        verified, failed = one_life(home, Random(seed * 10_000 + number), journal)
        if failed:
            sys.exit(f"life {number} of seed {seed} failed")
        hit["verified" if verified else "starting"] += 1
    print(json.dumps(hit))


if __name__ == "__main__":
    main()
