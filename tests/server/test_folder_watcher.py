"""Watched folders: what changes in them is indexed by itself. Real files, a real index."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import load_settings
from indexes.reports import IngestReport
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from server.folder_watcher import MAX_FOLDERS, FolderWatcher
from tests.support.indexes import Models
from tests.support.tenants import TENANT

BOUND_S = 120


class Heard:
    """The reports of what was indexed, as they come."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[IngestReport] = asyncio.Queue()

    async def until(self, index: str, **counts: int) -> None:
        """Wait for a report on the index with these counts."""
        async with asyncio.timeout(BOUND_S):
            while True:
                report = await self.reports.get()
                told = {name: getattr(report, name) for name in counts}
                if report.index == index and told == counts:
                    return


@pytest.fixture(scope="module")
async def indexes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Indexes]:
    settings = load_settings(home=tmp_path_factory.mktemp("home"))
    async with open_indexes(settings, Models(), tenant=TENANT) as opened:
        yield opened


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def watching(indexes: Indexes, heard: Heard) -> AsyncIterator[FolderWatcher]:
    watching = FolderWatcher(indexes, heard.reports.put_nowait)
    yield watching
    await watching.close()
    assert watched() == []


def watched() -> list[str]:
    """The names of the tasks that watch."""
    names = (task.get_name() for task in asyncio.all_tasks())
    return sorted(name for name in names if name.startswith("watch "))


async def declare(indexes: Indexes, name: str, *folders: Path, watch: bool = True) -> None:
    spec = IndexSpec(name=name, folders=tuple(map(str, folders)), watch=watch)
    await indexes.create(spec, tenant=TENANT)


async def found(indexes: Indexes, name: str) -> list[str]:
    return [
        document.source
        for document in await (await indexes.get(name, tenant=TENANT)).list_documents()
    ]


async def test_what_changes_in_a_folder_is_indexed(
    indexes: Indexes, watching: FolderWatcher, heard: Heard, tmp_path: Path
) -> None:
    (tmp_path / "old.md").write_text("Written before.")
    await declare(indexes, "follows", tmp_path)
    await declare(indexes, "does-not", tmp_path, watch=False)
    await watching.start()
    await heard.until("follows", added=1)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "new.md").write_text("Written since.")
    await heard.until("follows", added=1)
    assert await found(indexes, "follows") == ["deep/new.md", "old.md"]
    (tmp_path / "old.md").unlink()
    await heard.until("follows", removed=1)
    (tmp_path / "deep" / "new.md").write_text("Written anew, and longer.")
    await heard.until("follows", changed=1)
    assert await found(indexes, "follows") == ["deep/new.md"]
    assert await found(indexes, "does-not") == []
    assert watched() == [f"watch follows {tmp_path}"]


async def test_a_folder_may_come_later_and_go_and_come_again(
    indexes: Indexes, watching: FolderWatcher, heard: Heard, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "b"
    await declare(indexes, "comes-and-goes", folder)
    await watching.start()
    (tmp_path / "a").mkdir()
    folder.mkdir()
    (folder / "one.md").write_text("One.")
    await heard.until("comes-and-goes", added=1)
    shutil.rmtree(tmp_path / "a")
    folder.mkdir(parents=True)
    (folder / "two.md").write_text("Two.")
    await heard.until("comes-and-goes", added=1, removed=1)
    assert await found(indexes, "comes-and-goes") == ["two.md"]


async def test_an_index_is_watched_from_its_making_until_it_is_deleted(
    indexes: Indexes, watching: FolderWatcher, heard: Heard, tmp_path: Path
) -> None:
    await watching.start()
    await declare(indexes, "short", tmp_path)
    info = await (await indexes.get("short", tenant=TENANT)).describe()
    watching.follow(info, tenant=TENANT)
    watching.follow(info, tenant=TENANT)
    await heard.until("short", added=0)
    assert watched().count(f"watch short {tmp_path}") == 1
    await indexes.delete("short", tenant=TENANT)
    [task] = [task for task in asyncio.all_tasks() if task.get_name().startswith("watch short")]
    watching.unfollow("short", tenant=TENANT)
    await asyncio.wait([task], timeout=BOUND_S)
    assert not any(name.startswith("watch short") for name in watched())


async def test_folders_are_watched_only_after_start_and_up_to_the_limit(
    indexes: Indexes, watching: FolderWatcher, tmp_path: Path
) -> None:
    await declare(indexes, "many", tmp_path)
    info = await (await indexes.get("many", tenant=TENANT)).describe()
    folders = [str(tmp_path / str(n)) for n in range(MAX_FOLDERS + 5)]
    watching.follow(replace(info, folders=folders), tenant=TENANT)
    assert watched() == []
    await indexes.delete("many", tenant=TENANT)
    await watching.start()
    watching.follow(replace(info, folders=folders), tenant=TENANT)
    assert len(watched()) == MAX_FOLDERS


async def test_folders_of_every_tenants_indexes_are_watched(
    indexes: Indexes, watching: FolderWatcher, heard: Heard, tmp_path: Path
) -> None:
    spec = IndexSpec(name="shared-name", folders=(str(tmp_path),), watch=True)
    for tenant in ("acme", "other"):
        await indexes.create(spec, tenant)

    await watching.start()

    for _ in ("acme", "other"):
        await heard.until("shared-name", added=0)
    for tenant in ("acme", "other"):
        watching.unfollow("shared-name", tenant=tenant)
        await indexes.delete("shared-name", tenant)
