"""Folders that were accepted are indexed, whatever happens to the process meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.errors import Invalid, NotFound
from config.settings import load_settings
from indexes.reports import IngestProgress, IngestReport, OnProgress
from indexes.service import Indexes, open_indexes
from indexes.storage import index_rows
from indexes.storage.ingests import MAX_ENDED_INGESTS, IngestState, begin_ingest
from indexes.storage.store import open_store
from tests.support.indexes import HashingEmbedder, Models
from tests.support.tenants import TENANT

BOUND_S = 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    for n in range(5):
        (root / f"{n}.md").write_text(f"# Document {n}\n\nIt is about subject{n}.\n")
    return root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def opened(home: Path) -> AsyncIterator[Indexes]:
    async with open_indexes(load_settings(home=home), Models(), tenant=TENANT) as indexes:
        yield indexes


async def settled(indexes: Indexes, name: str = "docs") -> list[IngestState]:
    """The ingests of an index once none runs in the background."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == f"indexes ingest {name}"]
    if tasks:
        await asyncio.wait(tasks, timeout=BOUND_S)
    return await (await indexes.get(name, tenant=TENANT)).list_ingests()


async def test_finished_and_failed_folders_are_listed_with_their_counts(
    indexes: Indexes, folder: Path
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    await notes.add_folder(folder)
    with pytest.raises(Invalid):
        await notes.add_folder(folder / "gone")
    failed, finished = await notes.list_ingests()
    assert (finished.kind, finished.origin) == ("folder", str(folder))
    assert (finished.state, finished.files_done, finished.files_total) == ("finished", 5, 5)
    assert failed.state == "failed"
    assert failed.error
    assert "gone" in failed.error


async def test_a_folder_begun_in_the_background_is_indexed_and_can_be_cancelled(
    indexes: Indexes, folder: Path, embedder: HashingEmbedder
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    first = await notes.begin_folder(folder)
    assert [(each.id, each.state) for each in await settled(indexes, "notes")] == [
        (first, "finished")
    ]
    assert len(await notes.list_documents()) == 5

    (folder / "6.md").write_text("# Document 6\n\nMore.\n")
    embedder.gate = asyncio.Event()
    second = await notes.begin_folder(folder)
    await embedder.entered.wait()
    await notes.cancel_ingest(second)
    assert [each.state for each in await notes.list_ingests()] == ["cancelled", "finished"]
    with pytest.raises(NotFound) as caught:
        await notes.cancel_ingest("nope")
    assert caught.value.code == "ingest_not_found"


async def test_ingest_whose_caller_cancels_ends_as_cancelled(
    indexes: Indexes, folder: Path, embedder: HashingEmbedder
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    embedder.gate = asyncio.Event()
    ingest = asyncio.create_task(notes.add_folder(folder))
    await embedder.entered.wait()
    ingest.cancel()
    await asyncio.wait([ingest])
    assert [each.state for each in await notes.list_ingests()] == ["cancelled"]


async def test_folder_interrupted_by_a_close_resumes_at_the_next_start(
    home: Path, folder: Path
) -> None:
    models = Models()
    models.embedder.gate = asyncio.Event()
    async with open_indexes(load_settings(home=home), models, tenant=TENANT) as indexes:
        docs = await indexes.get("docs", tenant=TENANT)
        await docs.begin_folder(folder)
        await models.embedder.entered.wait()
    async with open_indexes(load_settings(home=home), Models(), tenant=TENANT) as indexes:
        (only,) = await settled(indexes)
        assert (only.state, only.files_done) == ("finished", 5)
        found = await indexes.search("docs", "subject3", limit=1, tenant=TENANT)
        assert found[0].source == "3.md"


CHILD = """
import asyncio, sys
from pathlib import Path
from config.settings import load_settings
from indexes.service import open_indexes
from tests.support.indexes import HashingEmbedder, Models

async def main():
    models = Models()
    models.embedder.gate = asyncio.Event()
    settings = load_settings(home=Path(sys.argv[1]))
    async with open_indexes(settings, models, tenant="default") as indexes:
        docs = await indexes.get("docs", "default")
        ingest = asyncio.ensure_future(docs.add_folder(Path(sys.argv[2])))
        await models.embedder.entered.wait()
        print("embedding", flush=True)
        await ingest

asyncio.run(main())
"""


async def test_folder_interrupted_by_a_kill_resumes_at_the_next_start(
    home: Path, folder: Path
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(home), str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    assert await asyncio.wait_for(child.stdout.readline(), BOUND_S) == b"embedding\n"
    child.kill()
    await child.wait()
    async with open_indexes(load_settings(home=home), Models(), tenant=TENANT) as indexes:
        docs = await indexes.get("docs", tenant=TENANT)
        (only,) = await settled(indexes)
        assert (only.state, only.origin) == ("finished", str(folder))
        assert len(await docs.list_documents()) == 5


async def test_missing_folder_fails_at_the_next_start_and_others_are_served(home: Path) -> None:
    async with open_store(home / "indexes"):
        pass
    async with open_indexes(load_settings(home=home), Models(), tenant=TENANT):
        pass
    async with open_store(home / "indexes") as store:
        index = await store(index_rows.find_index, "default", "docs")
        await store(begin_ingest, index.id, "folder", str(home / "gone"))
    async with open_indexes(load_settings(home=home), Models(), tenant=TENANT) as indexes:
        (only,) = await settled(indexes)
        assert only.state == "failed"


async def test_deleting_an_index_cancels_its_ingests(
    opened: Indexes, folder: Path, home: Path
) -> None:
    docs = await opened.get("docs", tenant=TENANT)
    await docs.begin_folder(folder)
    await opened.delete("docs", tenant=TENANT)
    assert not [t for t in asyncio.all_tasks() if t.get_name() == "indexes ingest docs"]
    with pytest.raises(NotFound):
        await docs.list_ingests()


async def test_crawl_interrupted_by_a_close_is_listed_as_unfinished_after_a_restart(
    home: Path,
) -> None:
    began = asyncio.Event()

    async def endless(on_progress: OnProgress) -> IngestReport:
        began.set()
        await asyncio.Event().wait()
        return IngestReport("docs")

    async def short(on_progress: OnProgress) -> IngestReport:
        on_progress(IngestProgress(3, 9, 0, 0))
        return IngestReport("docs")

    async with open_indexes(load_settings(home=home), Models(), tenant=TENANT) as indexes:
        docs = await indexes.get("docs", tenant=TENANT)
        await docs.run_crawl("https://example.org/", short)
        left = await docs.begin_crawl("https://example.org/other.xml", endless)
        await began.wait()
    async with open_indexes(load_settings(home=home), Models(), tenant=TENANT) as indexes:
        docs = await indexes.get("docs", tenant=TENANT)
        ((state, tenant),) = await indexes.unfinished_crawls()
        assert (state.id, state.origin, tenant) == (
            left,
            "https://example.org/other.xml",
            "default",
        )
        docs.resume_crawl(state, short)
        (task,) = [t for t in asyncio.all_tasks() if t.get_name() == "indexes crawl docs"]
        await asyncio.wait([task], timeout=BOUND_S)
        listed = await docs.list_ingests()
        assert [each.state for each in listed] == ["finished", "finished"]
        assert (listed[0].kind, listed[0].files_done, listed[0].files_total) == ("crawl", 3, 9)
        assert await indexes.unfinished_crawls() == []


async def test_only_the_latest_ended_ingests_are_remembered(indexes: Indexes, folder: Path) -> None:
    notes = await indexes.get("notes", tenant=TENANT)

    async def nothing(on_progress: OnProgress) -> IngestReport:
        return IngestReport("notes")

    for n in range(MAX_ENDED_INGESTS + 5):
        await notes.run_crawl(str(n), nothing)
    kept = [int(each.origin) for each in await notes.list_ingests()]
    assert kept == list(range(MAX_ENDED_INGESTS + 4, 4, -1))
