"""Folders that were accepted are indexed, whatever happens to the process meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from config.errors import Invalid, NotFound
from config.settings import load_settings
from indexes.ingestion import ingests
from indexes.ingestion.ingests import IngestState
from indexes.records import IngestReport, Progress
from indexes.service import Indexes, open_indexes
from indexes.storage.store import open_store
from indexes.storage.tables import Tables
from tests.support.indexes import HashingEmbedder, Models

BOUND_S = 60


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
    async with open_indexes(load_settings(home=home), Models()) as indexes:
        yield indexes


async def settled(indexes: Indexes, name: str = "docs") -> list[IngestState]:
    """The ingests of an index once none runs in the background."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == f"indexes ingest {name}"]
    if tasks:
        await asyncio.wait(tasks, timeout=BOUND_S)
    return await indexes.ingests(name)


async def test_what_became_of_a_folder_is_listed(indexes: Indexes, folder: Path) -> None:
    await indexes.add_folder("notes", folder)
    with pytest.raises(Invalid):
        await indexes.add_folder("notes", folder / "gone")
    failed, finished = await indexes.ingests("notes")
    assert (finished.kind, finished.origin) == ("folder", str(folder))
    assert (finished.state, finished.files_done, finished.files_total) == ("finished", 5, 5)
    assert failed.state == "failed"
    assert failed.error
    assert "gone" in failed.error


async def test_a_folder_begun_in_the_background_is_indexed_and_can_be_cancelled(
    indexes: Indexes, folder: Path, embedder: HashingEmbedder
) -> None:
    first = await indexes.begin_folder("notes", folder)
    assert [(each.id, each.state) for each in await settled(indexes, "notes")] == [
        (first, "finished")
    ]
    assert len(await indexes.documents("notes")) == 5

    (folder / "6.md").write_text("# Document 6\n\nMore.\n")
    embedder.gate = asyncio.Event()
    second = await indexes.begin_folder("notes", folder)
    await embedder.entered.wait()
    await indexes.cancel_ingest("notes", second)
    assert [each.state for each in await indexes.ingests("notes")] == ["cancelled", "finished"]
    with pytest.raises(NotFound) as caught:
        await indexes.cancel_ingest("notes", "nope")
    assert caught.value.code == "ingest_not_found"


async def test_a_caller_who_cancels_is_not_gone_on_for(
    indexes: Indexes, folder: Path, embedder: HashingEmbedder
) -> None:
    embedder.gate = asyncio.Event()
    ingest = asyncio.create_task(indexes.add_folder("notes", folder))
    await embedder.entered.wait()
    ingest.cancel()
    await asyncio.wait([ingest])
    assert [each.state for each in await indexes.ingests("notes")] == ["cancelled"]


async def test_what_a_close_cut_short_goes_on_at_the_next_start(home: Path, folder: Path) -> None:
    models = Models()
    models.embedder.gate = asyncio.Event()
    async with open_indexes(load_settings(home=home), models) as indexes:
        await indexes.begin_folder("docs", folder)
        await models.embedder.entered.wait()
    async with open_indexes(load_settings(home=home), Models()) as indexes:
        (only,) = await settled(indexes)
        assert (only.state, only.files_done) == ("finished", 5)
        found = await indexes.search("docs", "subject3", limit=1)
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
    async with open_indexes(load_settings(home=Path(sys.argv[1])), models) as indexes:
        ingest = asyncio.ensure_future(indexes.add_folder("docs", Path(sys.argv[2])))
        await models.embedder.entered.wait()
        print("embedding", flush=True)
        await ingest

asyncio.run(main())
"""


async def test_what_a_kill_cut_short_goes_on_at_the_next_start(home: Path, folder: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(home), str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    assert await asyncio.wait_for(child.stdout.readline(), BOUND_S) == b"embedding\n"
    child.kill()
    await child.wait()
    async with open_indexes(load_settings(home=home), Models()) as indexes:
        (only,) = await settled(indexes)
        assert (only.state, only.origin) == ("finished", str(folder))
        assert len(await indexes.documents("docs")) == 5


async def test_a_folder_that_has_gone_meanwhile_fails_and_the_rest_starts(home: Path) -> None:
    async with open_store(home / "indexes"):
        pass
    async with open_indexes(load_settings(home=home), Models()):
        pass
    async with open_store(home / "indexes") as store:
        index = await store(Tables.index, "default", "docs")
        await store(ingests.begin, index.id, "folder", str(home / "gone"))
    async with open_indexes(load_settings(home=home), Models()) as indexes:
        (only,) = await settled(indexes)
        assert only.state == "failed"


async def test_deleting_an_index_ends_what_fills_it(
    opened: Indexes, folder: Path, home: Path
) -> None:
    await opened.begin_folder("docs", folder)
    await opened.delete("docs")
    assert not [t for t in asyncio.all_tasks() if t.get_name() == "indexes ingest docs"]
    with pytest.raises(NotFound):
        await opened.ingests("docs")


async def test_a_crawl_that_a_close_cut_short_is_found_after_a_restart(home: Path) -> None:
    began = asyncio.Event()

    async def endless(tell: Callable[[Progress], None]) -> IngestReport:
        began.set()
        await asyncio.Event().wait()
        return IngestReport("docs")

    async def short(tell: Callable[[Progress], None]) -> IngestReport:
        tell(Progress(3, 9, 0, 0))
        return IngestReport("docs")

    async with open_indexes(load_settings(home=home), Models()) as indexes:
        await indexes.crawls.run("docs", "https://example.org/", short, lambda progress: None)
        left = await indexes.crawls.begin("docs", "https://example.org/other.xml", endless)
        await began.wait()
    async with open_indexes(load_settings(home=home), Models()) as indexes:
        ((state, tenant),) = await indexes.crawls.unfinished()
        assert (state.id, state.origin, tenant) == (
            left,
            "https://example.org/other.xml",
            "default",
        )
        indexes.crawls.go_on(state, short)
        (task,) = [t for t in asyncio.all_tasks() if t.get_name() == "indexes crawl docs"]
        await asyncio.wait([task], timeout=BOUND_S)
        listed = await indexes.ingests("docs")
        assert [each.state for each in listed] == ["finished", "finished"]
        assert (listed[0].kind, listed[0].files_done, listed[0].files_total) == ("crawl", 3, 9)
        assert await indexes.crawls.unfinished() == []


async def test_only_the_latest_ended_ingests_are_kept(indexes: Indexes, folder: Path) -> None:
    async def nothing(tell: Callable[[Progress], None]) -> IngestReport:
        return IngestReport("notes")

    for n in range(ingests.KEPT + 5):
        await indexes.crawls.run("notes", str(n), nothing, lambda progress: None)
    kept = [int(each.origin) for each in await indexes.ingests("notes")]
    assert kept == list(range(ingests.KEPT + 4, 4, -1))
