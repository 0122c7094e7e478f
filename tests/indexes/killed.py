"""A small process that fills an index at random until it is killed, again and again.

`python -m tests.indexes.killed HOME SEED KILLS`: each life is a fork, which first checks what the
lives before it have left, then goes on. What was begun and what was acknowledged stands in a
journal beside HOME. The last line printed counts kills by what they hit.
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
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from random import Random
from typing import Any

from config.settings import load_settings
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from tests.indexes.doubles import Models

SOURCES = [f"{number}.txt" for number in range(12)]
ABSENT = ""


class Journal:
    """What was begun and what was acknowledged, by source: the word that its text holds."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_RDWR)
        self.settled: dict[str, str] = dict.fromkeys(SOURCES, ABSENT)
        self.begun: dict[str, list[str]] = {source: [] for source in SOURCES}
        self.gone: set[str] = set()
        for line in path.read_text().splitlines():
            self._follow(*json.loads(line))

    def write(self, event: str, source: str, word: str) -> None:
        os.write(self._file, f"{json.dumps([event, source, word])}\n".encode())
        self._follow(event, source, word)

    def _follow(self, event: str, source: str, word: str) -> None:
        if event == "begin":
            self.begun[source].append(word)
            return
        if event == "done":
            self.gone |= {self.settled[source], *self.begun[source]} - {word, ABSENT}
        self.settled[source] = word
        self.begun[source] = []

    def possible(self, source: str) -> set[str]:
        return {self.settled[source], *self.begun[source]}


def text_of(word: str) -> str:
    """Three passages, each of them with the word."""
    parts = ([f"{word} part{part} line{line}" for line in range(5)] for part in range(3))
    return "\n\n".join(" ".join(part) for part in parts)


class Life:
    def __init__(self, home: Path, random: Random, journal: Journal) -> None:
        self.home, self.random, self.journal = home, random, journal

    async def live(self, verified: int) -> None:
        async with open_indexes(load_settings(home=self.home), Models()) as indexes:
            if "notes" not in [info.name for info in await indexes.list()]:
                await indexes.create(IndexSpec(name="notes", chunk_words=20))
            await self.verify(indexes)
            os.write(verified, b"v")
            while True:
                await self.several(indexes)

    async def verify(self, indexes: Indexes) -> None:
        documents = {d.source: d for d in await indexes.documents("notes", limit=1000)}
        for source in SOURCES:
            word = ABSENT
            if source in documents:
                document = await indexes.document("notes", documents[source].id)
                word = document.text.split()[0]
                assert document.text == text_of(word), f"{source} is half a document"
                found = await indexes.search("notes", word, mode="keyword", limit=20)
                assert len(found) == document.passages, f"{len(found)} passages of {source}"
                assert {passage.source for passage in found} == {source}
            possible = self.journal.possible(source)
            assert word in possible, f"{source} holds '{word}', not one of {possible}"
            # From now on this is what is there.
            self.journal.write("found", source, word)
        for word in self.random.sample(sorted(self.journal.gone), min(5, len(self.journal.gone))):
            assert not await indexes.search("notes", word, mode="keyword"), f"'{word}' came back"
        self.check_files()

    def check_files(self) -> None:
        present = set(self.journal.settled.values())
        for path in self.home.rglob("*"):
            try:
                words = set(re.findall(rb"xq[a-p]{11}zx", path.read_bytes()))
            except OSError:
                continue
            left = {word.decode() for word in words} & (self.journal.gone - present)
            assert not left, f"{path} still holds {left}"

    async def several(self, indexes: Indexes) -> None:
        choice = self.random.random()
        if choice < 0.12:
            await indexes.rebuild("notes")
        elif choice < 0.18 and indexes.worker:
            os.kill(indexes.worker.pid, signal.SIGKILL)
        else:
            chosen = self.random.sample(SOURCES, 3)
            await asyncio.gather(*(self.change(indexes, source) for source in chosen))

    async def change(self, indexes: Indexes, source: str) -> None:
        if self.journal.settled[source] and self.random.random() < 0.4:
            documents = await indexes.documents("notes", limit=1000)
            id = next(d.id for d in documents if d.source == source)
            await self.acknowledged(source, ABSENT, indexes.delete_document("notes", id))
        else:
            word = f"xq{''.join(self.random.choices('abcdefghijklmnop', k=11))}zx"
            data = text_of(word).encode()
            work = indexes.add_document("notes", source=source, data=data)
            await self.acknowledged(source, word, work)

    async def acknowledged(self, source: str, word: str, work: Awaitable[Any]) -> None:
        self.journal.write("begin", source, word)
        await work
        self.journal.write("done", source, word)


def one_life(home: Path, random: Random) -> tuple[bool, bool]:
    """Fork, kill it after a while; whether it had verified, and whether it failed by itself."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            journal = Journal(home.parent / f"{home.name}.journal")
            asyncio.run(Life(home, random, journal).live(write))
        except BaseException:
            logging.exception("a life failed")
        os._exit(1)
    os.close(write)
    if random.random() < 0.75:
        verified = os.read(read, 1) == b"v"
        time.sleep(random.uniform(0, 0.5))
    else:
        time.sleep(random.uniform(0, 0.8))
        os.set_blocking(read, False)
        try:
            verified = os.read(read, 1) == b"v"
        except BlockingIOError:
            verified = False
    os.close(read)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return verified, not os.WIFSIGNALED(status)


def main() -> None:
    home, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    hit: Counter[str] = Counter()
    for number in range(kills):
        verified, failed = one_life(home, Random(seed * 10_000 + number))
        if failed:
            sys.exit(f"life {number} of seed {seed} failed")
        hit["verified" if verified else "starting"] += 1
    print(json.dumps(hit))


if __name__ == "__main__":
    main()
