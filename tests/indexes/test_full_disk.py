"""No space left: nothing acknowledged is lost, an error says so, and later everything goes on.

The limit of a file's size stands for the disk: the service's own and its worker's, for real.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.errors import Unavailable
from config.settings import load_settings
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from tests.support.indexes import Models
from tests.support.tenants import TENANT

SPACE_BYTES = 1024


@contextmanager
def full(indexes: Indexes) -> Iterator[None]:
    """No file can grow, nor be changed beyond its first bytes."""
    assert indexes.worker
    processes = (0, indexes.worker.pid)
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in processes]
    for pid, (_, hard) in zip(processes, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (SPACE_BYTES, hard))
    try:
        yield
    finally:
        for pid, limits in zip(processes, before, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[Indexes]:
    async with open_indexes(
        load_settings(home=tmp_path / "home"), Models(), tenant=TENANT
    ) as indexes:
        await indexes.create(IndexSpec(name="notes"), tenant=TENANT)
        for number in range(5):
            await add(indexes, number)
        await (await indexes.get("notes", tenant=TENANT)).rebuild()
        yield indexes


async def add(indexes: Indexes, number: int) -> str:
    notes = await indexes.get("notes", tenant=TENANT)
    text = f"It is about subject{number} and nothing else."
    report = await notes.add_document(source=f"{number}.md", data=text.encode())
    return report.documents[0]


async def found(indexes: Indexes) -> list[str]:
    """Sources, each of them found by its own words."""
    notes = await indexes.get("notes", tenant=TENANT)
    sources = [document.source for document in await notes.list_documents()]
    for source in sources:
        subject = f"subject{source.removesuffix('.md')}"
        (best,) = await indexes.search("notes", subject, limit=1, tenant=TENANT)
        assert best.source == source
    return sources


FIVE = [f"{number}.md" for number in range(5)]


async def test_full_disk_refuses_changes_and_still_serves_searches(filled: Indexes) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    first, *_ = await notes.list_documents()
    with full(filled):
        for work in (add(filled, 5), notes.delete_document(first.id)):
            with pytest.raises(Unavailable, match="Free disk space") as caught:
                await work
            assert caught.value.code == "index_storage_failed"
        assert await found(filled) == FIVE
    await add(filled, 5)
    await notes.delete_document(first.id)
    assert await found(filled) == ["1.md", "2.md", "3.md", "4.md", "5.md"]


async def test_index_that_full_disk_keeps_from_saving_serves_and_is_saved_later(
    filled: Indexes, tmp_path: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    derived = tmp_path / "home" / "indexes" / "derived"
    saved = sorted(derived.rglob("*"))
    await add(filled, 5)
    with full(filled):
        with pytest.raises(Unavailable, match="Free disk space") as caught:
            await notes.rebuild()
        assert caught.value.code == "index_save_failed"
        assert sorted(derived.rglob("*")) == saved, "half a save is left"
        assert len(await found(filled)) == 6
    await notes.rebuild()
    assert sorted(derived.rglob("*")) != saved
    assert len(await found(filled)) == 6


async def test_no_half_snapshot_is_written_and_none_imported(
    filled: Indexes, tmp_path: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    whole = tmp_path / "notes.snapshot"
    await notes.export(whole)
    before = sorted(tmp_path.iterdir())
    with full(filled):
        with pytest.raises(Unavailable, match="The snapshot cannot be written") as refused:
            await notes.export(tmp_path / "other.snapshot")
        assert refused.value.code in ("storage_full", "storage_failed")
        assert sorted(tmp_path.iterdir()) == before
        with pytest.raises(Unavailable) as caught:
            await filled.import_snapshot(whole, "copy", tenant=TENANT)
        assert caught.value.code == "index_storage_failed"
        assert "copy" not in [info.name for info in await filled.list(tenant=TENANT)]
    await filled.import_snapshot(whole, "copy", tenant=TENANT)
    assert len(await (await filled.get("copy", tenant=TENANT)).list_documents()) == 5
    assert await found(filled) == FIVE


async def test_deleted_words_leave_the_files_once_a_full_disk_has_space(
    filled: Indexes, tmp_path: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    home = tmp_path / "home"
    report = await notes.add_document(source="a.md", data=b"The gribbleflix is here.")
    await asyncio.gather(*(add(filled, number) for number in range(5, 30)))
    with full(filled), pytest.raises(Unavailable):
        await notes.delete_document(report.documents[0])
    await notes.delete_document(report.documents[0])
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in files if b"gribbleflix" in path.read_bytes()] == []


async def test_a_folder_cut_short_goes_on_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.md").write_text(f"It is about subject{number} and nothing else.")
    settings = load_settings(home=tmp_path / "home")
    async with open_indexes(settings, Models(), tenant=TENANT) as indexes:
        await indexes.create(IndexSpec(name="notes"), tenant=TENANT)
        await add(indexes, 9)
        with full(indexes), pytest.raises(Unavailable):
            await (await indexes.get("notes", tenant=TENANT)).add_folder(folder)
        assert await found(indexes) == ["9.md"]
        await (await indexes.get("notes", tenant=TENANT)).add_folder(folder)
        assert await found(indexes) == [*FIVE, "9.md"]
