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
from indexes.storage import documents, index_rows
from indexes.storage.store import open_store
from models.workers.launch import launch
from models.workers.process import Reply, WorkerProcess
from tests.support.indexes import HashingEmbedder, Models
from tests.support.tenants import TENANT

BOUND_S = 120


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
    async with open_indexes(settings, recovery_models, worker=Watched, tenant=TENANT) as indexes:
        await indexes.create(IndexSpec(name="notes"), tenant=TENANT)
        yield indexes


@pytest.fixture
async def filled(opened: Indexes, recovery_models: Models) -> AsyncIterator[Indexes]:
    """The index `notes` with three documents, saved."""
    notes = await opened.get("notes", tenant=TENANT)
    recovery_models.embedder = HashingEmbedder()
    for number in range(3):
        await add(opened, number)
    await notes.rebuild()
    recovery_models.embedder.seen.clear()
    yield opened
    for document in await notes.list_documents():
        await notes.delete_document(document.id)


async def add(indexes: Indexes, number: int) -> str:
    notes = await indexes.get("notes", tenant=TENANT)
    text = f"# Document {number}\n\nIt is about subject{number} and nothing else.\n"
    report = await notes.add_document(source=f"{number}.md", data=text.encode())
    return report.documents[0]


async def best(indexes: Indexes, number: int) -> str:
    found = await indexes.search("notes", f"subject{number}", limit=1, tenant=TENANT)
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


async def test_searches_survive_the_death_of_the_worker_under_them(filled: Indexes) -> None:
    worker = worker_of(filled)
    os.kill(worker.pid, signal.SIGSTOP)
    sent = worker.expect("search")
    searches = [asyncio.create_task(best(filled, number % 3)) for number in range(20)]
    await asyncio.wait_for(sent.wait(), BOUND_S)
    os.kill(worker.pid, signal.SIGKILL)
    found = await asyncio.wait_for(asyncio.gather(*searches), BOUND_S)
    assert found == [f"{number % 3}.md" for number in range(20)]
    assert worker_of(filled) is not worker


class KilledAtStart(WorkerProcess):
    """A real worker; as many as `kills` says are killed before they start."""

    kills = 0

    @classmethod
    async def start(cls, *args: Any, **options: Any) -> WorkerProcess:
        launched = await launch("index", None, None)
        if KilledAtStart.kills:
            KilledAtStart.kills -= 1
            os.kill(launched.process.pid, signal.SIGKILL)
        return await super().start(*args, launched=launched, **options)


async def test_searches_survive_the_death_of_a_worker_that_only_starts(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models(), worker=KilledAtStart, tenant=TENANT) as indexes:
        await indexes.create(IndexSpec(name="notes"), tenant=TENANT)
        await add(indexes, 0)
        KilledAtStart.kills = 1
        assert indexes.worker
        indexes.worker.kill()
        await asyncio.wait_for(asyncio.shield(indexes.worker.exited), BOUND_S)

        found = await asyncio.gather(*[best(indexes, 0) for _ in range(8)])

        assert found == ["0.md"] * 8
        assert not KilledAtStart.kills


async def test_an_ingest_survives_the_death_of_the_worker_under_it(
    filled: Indexes, recovery_models: Models
) -> None:
    worker = worker_of(filled)
    os.kill(worker.pid, signal.SIGSTOP)
    sent = worker.expect("apply")
    ingest = asyncio.create_task(add(filled, 7))
    await asyncio.wait_for(sent.wait(), BOUND_S)
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.wait_for(ingest, BOUND_S)
    assert [await best(filled, number) for number in (7, 0)] == ["7.md", "0.md"]
    assert max(recovery_models.embedder.seen.values()) == 1


async def test_a_saved_index_is_opened_as_it_is_and_a_damaged_or_lost_one_built_anew(
    filled: Indexes, home: Path, recovery_models: Models
) -> None:
    await kill(filled)
    assert await best(filled, 1) == "1.md"
    assert "apply" not in worker_of(filled).calls

    words = saved_folder(home) / "keywords"
    data = bytearray(words.read_bytes())
    data[len(data) // 2] ^= 1
    words.write_bytes(data)
    await kill(filled)
    assert await best(filled, 1) == "1.md"
    assert "apply" in worker_of(filled).calls

    await (await filled.get("notes", tenant=TENANT)).rebuild()
    for path in saved_folder(home).iterdir():
        path.unlink()
    await kill(filled)
    assert await best(filled, 1) == "1.md"
    assert set(recovery_models.embedder.seen) == {"subject1"}, "a passage was embedded again"


async def test_changes_after_the_last_save_are_replayed_in_a_new_worker(filled: Indexes) -> None:
    added = await add(filled, 5)
    first = next(
        d
        for d in await (await filled.get("notes", tenant=TENANT)).list_documents()
        if d.source == "0.md"
    )
    await kill(filled)
    await (await filled.get("notes", tenant=TENANT)).delete_document(first.id)
    assert await best(filled, 5) == "5.md"
    found = await filled.search("notes", "subject0 subject5 document", limit=10, tenant=TENANT)
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
    filled: Indexes, home: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    secret = "# Zyxomorph\n\nThe quuxling password is frobnicated.\n"
    report = await notes.add_document(
        source="plain.md", data=secret.encode(), metadata={"owner": "blorbo"}
    )
    await notes.rebuild()
    words = ("zyxomorph", "quuxling", "frobnic", "blorbo")
    assert any("saved-" in name for name in files_with(home, *words)), "the test sees nothing"
    await notes.delete_document(report.documents[0])
    assert files_with(home, *words) == []
    await notes.rebuild()
    assert saved_folder(home)
    assert files_with(home, *words) == []


async def test_removal_leaves_the_saved_index_to_the_next_worker_and_its_words_to_nobody(
    filled: Indexes, home: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    report = await notes.add_document(source="plain.md", data=b"The quuxling is frobnicated.")
    await notes.rebuild()

    await notes.delete_document(report.documents[0])
    await kill(filled)

    # A new save may have begun before the kill.
    assert list(home.glob("indexes/derived/*/saved-*/vectors"))
    assert files_with(home, "quuxling", "frobnic") == []
    found = await filled.search("notes", "document", limit=10, tenant=TENANT)
    assert (sorted(passage.source for passage in found), found.complete) == (
        ["0.md", "1.md", "2.md"],
        True,
    )
    assert worker_of(filled).calls.count("apply") == 1, "the index was built anew"


async def test_worker_killed_while_it_redacts_leaves_the_saved_index_to_the_next(
    filled: Indexes, home: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    report = await notes.add_document(source="plain.md", data=b"The quuxling is frobnicated.")
    await notes.rebuild()
    worker = worker_of(filled)
    os.kill(worker.pid, signal.SIGSTOP)
    sent = worker.expect("redact")

    deletion = asyncio.create_task(notes.delete_document(report.documents[0]))
    await asyncio.wait_for(sent.wait(), BOUND_S)
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.wait_for(deletion, BOUND_S)

    assert files_with(home, "quuxling", "frobnic") == []
    assert await best(filled, 0) == "0.md"
    calls = worker_of(filled).calls
    assert (calls.count("redact"), calls.count("apply")) == (1, 1), "the index was built anew"


async def test_words_of_one_removal_are_redacted_once_and_of_the_next_again(
    filled: Indexes, home: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    reports = [
        await notes.add_document(source=f"{word}.md", data=f"The {word} is frobnicated.".encode())
        for word in ("quuxling", "gribbleflix")
    ]
    await notes.rebuild()
    calls = worker_of(filled).calls
    calls.clear()

    for report in reports:
        await notes.delete_document(report.documents[0])
        assert await best(filled, 0) == "0.md"

    # A save between both forgets the first removal; what was redacted stays so.
    assert calls.count("redact") == 2
    assert files_with(home, "quuxling", "gribbleflix", "frobnic") == []


async def test_words_are_gone_also_when_no_worker_can_redact_them(
    tmp_path: Path,
) -> None:
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models(), worker=KilledAtStart, tenant=TENANT) as indexes:
        docs = await indexes.get("docs", tenant=TENANT)
        report = await docs.add_document(source="a.md", data=b"The gribbleflix.")
        await docs.rebuild()
        assert files_with(tmp_path / "indexes" / "derived", "gribbleflix")
        assert indexes.worker
        indexes.worker.kill()
        await asyncio.wait_for(asyncio.shield(indexes.worker.exited), BOUND_S)
        KilledAtStart.kills = 2

        await docs.delete_document(report.documents[0])

        assert not KilledAtStart.kills
        assert files_with(tmp_path, "gribbleflix") == []


async def test_the_words_of_a_replaced_document_and_a_deleted_index_are_found_in_no_file(
    filled: Indexes, home: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    await filled.create(IndexSpec(name="other"), tenant=TENANT)
    for name in ("notes", "other"):
        await (await filled.get(name, tenant=TENANT)).add_document(
            source="a.md", data=b"The gribbleflix is here."
        )
        await (await filled.get(name, tenant=TENANT)).rebuild()
    assert files_with(home, "gribbleflix")
    await notes.add_document(source="a.md", data=b"Nothing of it is left.")
    await filled.delete("other", tenant=TENANT)
    assert files_with(home, "gribbleflix") == []


async def test_next_start_removes_deleted_words_that_a_killed_process_left(
    tmp_path: Path,
) -> None:
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models(), tenant=TENANT) as indexes:
        docs = await indexes.get("docs", tenant=TENANT)
        report = await docs.add_document(source="a.md", data=b"The gribbleflix.")
    assert len(files_with(tmp_path, "gribbleflix")) >= 2
    async with open_store(tmp_path / "indexes") as store:
        index = await store(index_rows.find_index, "default", "docs")
        await store(documents.delete_documents, index.id, report.documents)
    left = tmp_path / "indexes" / "derived" / "deleted-index"
    left.mkdir()
    (left / "terms").write_text("gribbleflix")
    async with open_indexes(settings, Models(), tenant=TENANT) as indexes:
        assert files_with(tmp_path, "gribbleflix") == []
        assert saved_folder(tmp_path), "what was saved stays until the next save"


DELETED_AND_KILLED = """
import asyncio, os, sys
from pathlib import Path
from config.settings import load_settings
from indexes.service import open_indexes
from indexes.storage.store import Store
from tests.support.indexes import Models

async def main():
    Store.purge = lambda self: os._exit(9)
    settings = load_settings(home=Path(sys.argv[1]))
    async with open_indexes(settings, Models(), tenant="default") as indexes:
        docs = await indexes.get("docs", "default")
        await docs.add_document(source="a.md", data=b"The gribbleflix is here.")
        await indexes.delete("docs", "default")

asyncio.run(main())
"""


async def test_deleted_unsaved_index_leaves_no_words_after_a_crash_before_the_purge(
    tmp_path: Path,
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DELETED_AND_KILLED, str(tmp_path)
    )
    assert await asyncio.wait_for(child.wait(), BOUND_S) == 9
    assert files_with(tmp_path, "gribbleflix")
    async with open_indexes(load_settings(home=tmp_path), Models(), tenant=TENANT):
        assert files_with(tmp_path, "gribbleflix") == []


class NeverStarts(WorkerProcess):
    @classmethod
    async def start(cls, *args: Any, **options: Any) -> WorkerProcess:
        raise Unavailable("There is no memory.", code="worker_start_failed")


async def test_index_without_a_worker_refuses_searches_and_stores_documents(
    tmp_path: Path,
) -> None:
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models(), worker=NeverStarts, tenant=TENANT) as indexes:
        docs = await indexes.get("docs", tenant=TENANT)
        with pytest.raises(Unavailable) as caught:
            await docs.add_document(source="a.md", data=b"Text.")
        assert caught.value.code == "worker_start_failed"
        with pytest.raises(Unavailable):
            await indexes.search("docs", "text", tenant=TENANT)
        assert [document.source for document in await docs.list_documents()] == ["a.md"]


async def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    async with open_indexes(settings, Models(), tenant=TENANT):
        with pytest.raises(Conflict) as caught:
            async with open_indexes(settings, Models(), tenant=TENANT):
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
    settings = load_settings(home=Path(sys.argv[1]))
    async with open_indexes(settings, Models(), tenant="default") as indexes:
        notes = await indexes.create(IndexSpec(name="notes"), "default")
        for number in range(10_000):
            text = f"# Document {number}\\n\\nIt is about subject{number}.\\n"
            await notes.add_document(source=f"{number}.md", data=text.encode())
            print(number, flush=True)

asyncio.run(main())
"""


async def test_acknowledged_documents_are_found_after_the_server_was_killed(
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
    async with open_indexes(load_settings(home=tmp_path), Models(), tenant=TENANT) as indexes:
        notes = await indexes.get("notes", tenant=TENANT)
        sources = {d.source for d in await notes.list_documents(limit=1000)}
        assert sources >= {f"{number}.md" for number in acknowledged}
        for number in (acknowledged[0], acknowledged[-1]):
            assert await best(indexes, number) == f"{number}.md"
