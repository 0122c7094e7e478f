"""What survives: a killed worker, a killed server, a lost or damaged derived index, a deletion.

Real processes, really killed.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from config.errors import Conflict, Unavailable
from config.settings import load_settings
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from indexes.storage.store import open_store
from indexes.storage.tables import Tables
from models.workers.process import Reply, WorkerProcess
from tests.support.indexes import HashingEmbedder, Models

BOUND_S = 60


class Watched(WorkerProcess):
    """A real worker that tells which calls were sent to it."""

    calls: list[str]
    sent: asyncio.Event
    awaited = ""

    def expect(self, method: str) -> asyncio.Event:
        """Set when the next call of this method has been sent."""
        self.awaited, self.sent = method, asyncio.Event()
        return self.sent

    async def call(self, method: str, *args: Any, **options: Any) -> Reply:
        self.__dict__.setdefault("calls", []).append(method)
        answer = asyncio.ensure_future(super().call(method, *args, **options))
        if method == self.awaited:
            await asyncio.sleep(0)  # let the call write its frame
            self.sent.set()
        try:
            return await answer
        finally:
            answer.cancel()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recovery")


@pytest.fixture(scope="module")
def recovery_models() -> Models:
    return Models()


@pytest.fixture(scope="module")
async def opened(home: Path, recovery_models: Models) -> AsyncIterator[Indexes]:
    settings = load_settings(home=home)
    async with open_indexes(settings, recovery_models, worker=Watched) as indexes:
        await indexes.create(IndexSpec(name="notes"))
        yield indexes


@pytest.fixture
async def notes(opened: Indexes, recovery_models: Models) -> AsyncIterator[Indexes]:
    """The index `notes` with three documents, saved."""
    recovery_models.embedder = HashingEmbedder()
    for number in range(3):
        await add(opened, number)
    await opened.rebuild("notes")
    recovery_models.embedder.seen.clear()
    yield opened
    for document in await opened.documents("notes"):
        await opened.delete_document("notes", document.id)


async def add(indexes: Indexes, number: int) -> str:
    text = f"# Document {number}\n\nIt is about subject{number} and nothing else.\n"
    report = await indexes.add_document("notes", source=f"{number}.md", data=text.encode())
    return report.documents[0]


async def best(indexes: Indexes, number: int) -> str:
    found = await indexes.search("notes", f"subject{number}", limit=1)
    return found[0].source


def worker_of(indexes: Indexes) -> Watched:
    assert isinstance(indexes.worker, Watched)
    return indexes.worker


async def kill(indexes: Indexes) -> None:
    worker = worker_of(indexes)
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.wait_for(asyncio.shield(worker.exited), BOUND_S)


def saved_folder(home: Path) -> Path:
    (folder,) = home.glob("indexes/derived/*/saved-*")
    return folder


async def test_searches_survive_the_death_of_the_worker_under_them(notes: Indexes) -> None:
    worker = worker_of(notes)
    os.kill(worker.pid, signal.SIGSTOP)
    sent = worker.expect("search")
    searches = [asyncio.create_task(best(notes, number % 3)) for number in range(20)]
    await asyncio.wait_for(sent.wait(), BOUND_S)
    os.kill(worker.pid, signal.SIGKILL)
    found = await asyncio.wait_for(asyncio.gather(*searches), BOUND_S)
    assert found == [f"{number % 3}.md" for number in range(20)]
    assert worker_of(notes) is not worker


async def test_an_ingest_survives_the_death_of_the_worker_under_it(
    notes: Indexes, recovery_models: Models
) -> None:
    worker = worker_of(notes)
    os.kill(worker.pid, signal.SIGSTOP)
    sent = worker.expect("apply")
    ingest = asyncio.create_task(add(notes, 7))
    await asyncio.wait_for(sent.wait(), BOUND_S)
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.wait_for(ingest, BOUND_S)
    assert [await best(notes, number) for number in (7, 0)] == ["7.md", "0.md"]
    assert max(recovery_models.embedder.seen.values()) == 1


async def test_a_saved_index_is_opened_as_it_is_and_a_damaged_or_lost_one_built_anew(
    notes: Indexes, home: Path, recovery_models: Models
) -> None:
    await kill(notes)
    assert await best(notes, 1) == "1.md"
    assert "apply" not in worker_of(notes).calls

    words = saved_folder(home) / "keywords"
    data = bytearray(words.read_bytes())
    data[len(data) // 2] ^= 1
    words.write_bytes(data)
    await kill(notes)
    assert await best(notes, 1) == "1.md"
    assert "apply" in worker_of(notes).calls

    await notes.rebuild("notes")
    for path in saved_folder(home).iterdir():
        path.unlink()
    await kill(notes)
    assert await best(notes, 1) == "1.md"
    assert set(recovery_models.embedder.seen) == {"subject1"}, "a passage was embedded again"


async def test_what_came_after_the_last_save_is_replayed(notes: Indexes) -> None:
    added = await add(notes, 5)
    first = next(d for d in await notes.documents("notes") if d.source == "0.md")
    await kill(notes)
    await notes.delete_document("notes", first.id)
    assert await best(notes, 5) == "5.md"
    found = await notes.search("notes", "subject0 subject5 document", limit=10)
    assert sorted(passage.source for passage in found) == ["1.md", "2.md", "5.md"]
    assert added in {passage.document for passage in found}


def files_with(home: Path, *words: str) -> list[str]:
    pattern = re.compile("|".join(words).encode(), re.IGNORECASE)
    found = []
    for folder, _, names in os.walk(home):  # while the worker saves
        for path in (Path(folder) / name for name in names):
            with suppress(FileNotFoundError):
                if pattern.search(path.read_bytes()):
                    found.append(str(path.relative_to(home)))
    return found


async def test_the_words_of_a_deleted_document_are_found_in_no_file(
    notes: Indexes, home: Path
) -> None:
    secret = "# Zyxomorph\n\nThe quuxling password is frobnicated.\n"
    report = await notes.add_document(
        "notes", source="plain.md", data=secret.encode(), metadata={"owner": "blorbo"}
    )
    await notes.rebuild("notes")
    words = ("zyxomorph", "quuxling", "frobnic", "blorbo")
    assert any("saved-" in name for name in files_with(home, *words)), "the test sees nothing"
    await notes.delete_document("notes", report.documents[0])
    assert files_with(home, *words) == []
    await notes.rebuild("notes")
    assert saved_folder(home)
    assert files_with(home, *words) == []


async def test_the_words_of_a_replaced_document_and_a_deleted_index_are_found_in_no_file(
    notes: Indexes, home: Path
) -> None:
    await notes.create(IndexSpec(name="other"))
    for name in ("notes", "other"):
        await notes.add_document(name, source="a.md", data=b"The gribbleflix is here.")
        await notes.rebuild(name)
    assert files_with(home, "gribbleflix")
    await notes.add_document("notes", source="a.md", data=b"Nothing of it is left.")
    await notes.delete("other")
    assert files_with(home, "gribbleflix") == []


async def test_what_a_killed_process_left_of_deleted_things_is_gone_at_the_next_start(
    tmp_path: Path,
) -> None:
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models()) as indexes:
        report = await indexes.add_document("docs", source="a.md", data=b"The gribbleflix.")
    assert len(files_with(tmp_path, "gribbleflix")) >= 2
    async with open_store(tmp_path / "indexes") as store:
        index = await store(Tables.index, "default", "docs")
        await store(Tables.delete_documents, index.id, report.documents)
    left = tmp_path / "indexes" / "derived" / "deleted-index"
    left.mkdir()
    (left / "terms").write_text("gribbleflix")
    async with open_indexes(settings, Models()) as indexes:
        assert files_with(tmp_path, "gribbleflix") == []


DELETED_AND_KILLED = """
import asyncio, os, sys
from pathlib import Path
from config.settings import load_settings
from indexes.service import open_indexes
from indexes.storage.store import Store
from indexes.storage.tables import Tables
from tests.support.indexes import Models

async def main():
    Store.purge = lambda self: os._exit(9)
    async with open_indexes(load_settings(home=Path(sys.argv[1])), Models()) as indexes:
        await indexes.add_document("docs", source="a.md", data=b"The gribbleflix is here.")
        await indexes.delete("docs")

asyncio.run(main())
"""


async def test_a_deleted_index_that_was_never_saved_is_gone_after_a_crash_before_its_words_were(
    tmp_path: Path,
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DELETED_AND_KILLED, str(tmp_path)
    )
    assert await asyncio.wait_for(child.wait(), BOUND_S) == 9
    assert files_with(tmp_path, "gribbleflix")
    async with open_indexes(load_settings(home=tmp_path), Models()):
        assert files_with(tmp_path, "gribbleflix") == []


class NeverStarts(WorkerProcess):
    @classmethod
    async def start(cls, *args: Any, **options: Any) -> WorkerProcess:
        raise Unavailable("There is no memory.", code="worker_start_failed")


async def test_without_its_worker_an_index_says_so_and_keeps_what_it_was_given(
    tmp_path: Path,
) -> None:
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models(), worker=NeverStarts) as indexes:
        with pytest.raises(Unavailable) as caught:
            await indexes.add_document("docs", source="a.md", data=b"Text.")
        assert caught.value.code == "worker_start_failed"
        with pytest.raises(Unavailable):
            await indexes.search("docs", "text")
        assert [document.source for document in await indexes.documents("docs")] == ["a.md"]


async def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models()):
        with pytest.raises(Conflict) as caught:
            async with open_indexes(settings, Models()):
                pass
    assert caught.value.code == "data_folder_in_use"


CHILD = """
import asyncio, sys
from pathlib import Path

from config.settings import load_settings
from indexes.service import open_indexes
from indexes.spec import IndexSpec
from tests.support.indexes import Models

async def main():
    async with open_indexes(load_settings(home=Path(sys.argv[1])), Models()) as indexes:
        await indexes.create(IndexSpec(name="notes"))
        for number in range(10_000):
            text = f"# Document {number}\\n\\nIt is about subject{number}.\\n"
            await indexes.add_document("notes", source=f"{number}.md", data=text.encode())
            print(number, flush=True)

asyncio.run(main())
"""


async def test_what_was_acknowledged_before_the_server_was_killed_is_found_after(
    tmp_path: Path,
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    acknowledged = [
        int(await asyncio.wait_for(child.stdout.readline(), BOUND_S)) for _ in range(25)
    ]
    child.kill()
    rest = (await child.stdout.read()).decode().split("\n")
    await child.wait()
    acknowledged += [int(line) for line in rest[:-1]]
    async with open_indexes(load_settings(home=tmp_path), Models()) as indexes:
        sources = {d.source for d in await indexes.documents("notes", limit=1000)}
        assert sources >= {f"{number}.md" for number in acknowledged}
        for number in (acknowledged[0], acknowledged[-1]):
            assert await best(indexes, number) == f"{number}.md"
