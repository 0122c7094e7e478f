"""Indexes from the outside: ingest, search, citations, deletion."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from config.errors import Busy, Conflict, Invalid, NotFound
from config.settings import load_settings
from indexes.records import Passage
from indexes.reports import IngestProgress
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from tests.support.indexes import HashingEmbedder, Models
from tests.support.tenants import TENANT

GARDEN = "# Garden\n\nTomatoes like warm soil and regular water.\n"
KITCHEN = "# Kitchen\n\nBread rises overnight in a cold place.\n"
WORKSHOP = "# Workshop\n\nA sharp chisel cuts oak across the grain.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "deep").mkdir(parents=True)
    (root / "garden.md").write_text(GARDEN)
    (root / "kitchen.txt").write_text(KITCHEN)
    (root / "deep" / "workshop.html").write_text(
        "<h1>Workshop</h1><p>A sharp chisel cuts oak across the grain.</p>"
    )
    age(root)
    return root


def age(root: Path) -> None:
    """Make the files old enough for their times to be trusted."""
    for path in root.rglob("*.*"):
        os.utime(path, (1_700_000_000, 1_700_000_000 + len(path.read_bytes())))


async def add(indexes: Indexes, source: str, text: str, tenant: str = "default") -> str:
    report = await (await indexes.get("notes", tenant)).add_document(
        source=source, data=text.encode()
    )
    return report.documents[0]


def sources(passages: list[Passage]) -> list[str]:
    return [passage.source for passage in passages]


async def test_documents_of_a_folder_are_found_by_meaning_keywords_and_both(
    indexes: Indexes, folder: Path
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    report = await notes.add_folder(folder)
    assert (report.added, report.passages, report.embedded) == (3, 3, 3)
    for mode in ("hybrid", "dense", "keyword"):
        found = await indexes.search("notes", "sharp chisel for oak", mode=mode, tenant=TENANT)
        assert found[0].source == "deep/workshop.html"
        assert found[0].heading == ["Workshop"]
        assert found[0].title == "Workshop"
        assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    info = await notes.describe()
    assert (info.documents, info.passages, info.embedded_by) == (3, 3, "hashing-1")


async def test_a_passages_span_is_exact_in_its_documents_text(
    indexes: Indexes, folder: Path
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    await notes.add_folder(folder)
    found = await indexes.search("notes", "water bread oak", tenant=TENANT)
    assert len(found) == 3
    for passage in found:
        document = await notes.get_document(passage.document)
        assert document.text[passage.start : passage.end] == passage.text
        assert document.hash == passage.hash
        assert document.metadata["path"] == str(folder / document.source)


async def test_second_ingest_skips_unchanged_files_replaces_changed_and_removes_missing(
    indexes: Indexes, folder: Path, embedder: HashingEmbedder
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    await notes.add_folder(folder)
    # Other words of the same size and time: only reading the file would tell.
    (folder / "garden.md").write_text(GARDEN.swapcase())
    age(folder)
    again = await notes.add_folder(folder)
    assert (again.unchanged, again.added, again.changed, again.failed) == (3, 0, 0, [])

    (folder / "garden.md").write_text(GARDEN + "\nBasil needs sun.\n")
    (folder / "kitchen.txt").unlink()
    later = await notes.add_folder(folder)
    assert (later.unchanged, later.added, later.changed, later.removed) == (1, 0, 1, 1)
    assert sources(await indexes.search("notes", "basil sun", tenant=TENANT))[0] == "garden.md"
    assert "kitchen.txt" not in sources(
        await indexes.search("notes", "bread rises overnight", tenant=TENANT)
    )
    assert max(embedder.seen.values()) == 1


async def test_a_touched_file_is_compared_by_its_content(
    indexes: Indexes, folder: Path, embedder: HashingEmbedder
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    await notes.add_folder(folder)
    os.utime(folder / "garden.md")
    assert (await notes.add_folder(folder)).unchanged == 3
    assert max(embedder.seen.values()) == 1


async def test_a_broken_file_is_reported_and_the_rest_goes_on(
    indexes: Indexes, folder: Path
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    (folder / "broken.md").write_bytes(b"\xff\xfe\xfa")
    (folder / "empty.txt").write_text("")
    (folder / "image.txt").write_bytes(b"\x89PNG\0\0")
    report = await notes.add_folder(folder)
    assert report.added == 3
    broken = ("broken.md", "empty.txt", "image.txt")
    found = {failure.source: failure.code for failure in report.failed}
    assert found == dict.fromkeys(broken, "unreadable_document")


async def test_progress_counts_files_and_passages(indexes: Indexes, folder: Path) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    told: list[IngestProgress] = []
    await notes.add_folder(folder, on_progress=told.append)
    assert told[-1] == IngestProgress(3, 3, 3, 3)
    assert [p.files_done for p in told] == sorted(p.files_done for p in told)


async def test_an_upload_replaces_the_one_of_its_source(
    indexes: Indexes, embedder: HashingEmbedder
) -> None:
    first = await add(indexes, "a.md", GARDEN)
    assert await add(indexes, "a.md", GARDEN) == first
    second = await add(indexes, "a.md", KITCHEN)
    assert second == first
    assert [p.title for p in await indexes.search("notes", "tomatoes bread", tenant=TENANT)] == [
        "Kitchen"
    ]
    assert embedder.seen[GARDEN.strip()] == 1


async def test_an_uploads_title_and_metadata_are_kept(indexes: Indexes) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    report = await notes.add_document(
        source="https://example.org/page?id=1",
        media_type="text/html; charset=utf-8",
        data=b"<h1>Heading</h1><p>Words of the page.",
        title="Given title",
        metadata={"author": "Ada"},
    )
    document = await notes.get_document(report.documents[0])
    assert (document.title, document.metadata) == ("Given title", {"author": "Ada"})
    assert document.text == "Heading\n\nWords of the page."


async def test_the_same_passage_in_two_documents_is_embedded_once(
    indexes: Indexes, embedder: HashingEmbedder
) -> None:
    await add(indexes, "a.md", GARDEN)
    await add(indexes, "b.md", GARDEN)
    assert embedder.seen == {GARDEN.strip(): 1}
    (found,) = await indexes.search("notes", "tomatoes", tenant=TENANT)
    assert sorted([found.source, found.also[0].source]) == ["a.md", "b.md"]


async def test_a_narrow_filter_finds_its_best_though_they_rank_low_among_all(
    indexes: Indexes, folder: Path
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    for number in range(300):
        (folder / f"oak{number}.md").write_text(f"# Oak {number}\n\nOak and chisel {number}.\n")
    await notes.add_folder(folder)
    chosen = await add(indexes, "lone.md", "# Lone\n\nNothing in common but one chisel.\n")
    other = await add(indexes, "far.md", "# Far\n\nEntirely unrelated text.\n")
    for mode in ("hybrid", "dense"):
        found = await indexes.search(
            "notes", "oak chisel", mode=mode, documents=[chosen, other], tenant=TENANT
        )
        assert [p.document for p in found] == [chosen, other]
    found = await indexes.search(
        "notes", "oak chisel", mode="keyword", documents=[chosen, other], tenant=TENANT
    )
    assert [p.document for p in found] == [chosen]
    assert await indexes.search("notes", "oak", documents=[], tenant=TENANT) == []


async def test_a_deleted_document_is_found_no_more(indexes: Indexes) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    first, second = await add(indexes, "a.md", GARDEN), await add(indexes, "b.md", KITCHEN)
    await notes.delete_document(first)
    assert sources(await indexes.search("notes", "tomatoes warm soil", tenant=TENANT)) == ["b.md"]
    with pytest.raises(NotFound) as caught:
        await notes.get_document(first)
    assert caught.value.code == "document_not_found"
    assert second in caught.value.message


async def test_a_citation_shows_the_span_and_says_when_the_source_changed(
    indexes: Indexes,
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    id = await add(indexes, "a.md", GARDEN)
    (passage,) = await indexes.search("notes", "tomatoes", tenant=TENANT)
    start = GARDEN.index("Tomatoes")
    shown = await notes.cite(id, start, start + 8, hash=passage.hash)
    assert (shown.text, shown.changed, shown.heading) == ("Tomatoes", False, ["Garden"])
    assert shown.before + shown.text + shown.after == GARDEN
    await add(indexes, "a.md", KITCHEN)
    assert (await notes.cite(id, start, start + 8, hash=passage.hash)).changed
    assert (await notes.cite(id, 900, 990, hash=passage.hash)).text == ""
    with pytest.raises(Invalid):
        await notes.cite(id, 900, 990)


async def test_tenants_do_not_see_each_others_indexes(indexes: Indexes) -> None:
    await indexes.create(IndexSpec(name="notes"), tenant="other")
    try:
        await add(indexes, "a.md", GARDEN)
        assert await indexes.search("notes", "tomatoes", tenant="other") == []
        await add(indexes, "b.md", KITCHEN, tenant="other")
        assert sources(await indexes.search("notes", "tomatoes", tenant="other")) == ["b.md"]
        assert [info.name for info in await indexes.list(tenant="other")] == ["notes"]
        assert await indexes.list(tenant="third") == []
    finally:
        await indexes.delete("notes", tenant="other")


@pytest.mark.parametrize(
    "query",
    [
        "select id, text from txtai where similar('x')",
        "'; drop table passages; --",
        "{{ 7*7 }} ${jndi}",
        "* ** *oma* __asterisk__ %",
        "\ud800 half a pair",
        "\u202eright to left\0",
        "?",
        "x" * 9999,
    ],
)
async def test_query_syntax_is_searched_as_plain_words(indexes: Indexes, query: str) -> None:
    await add(indexes, "a.md", GARDEN)
    for mode in ("hybrid", "dense", "keyword"):
        found = await indexes.search("notes", query, mode=mode, tenant=TENANT)
        assert sources(found) in (["a.md"], [])


async def test_text_that_is_a_path_or_sql_is_only_text(indexes: Indexes, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the hidden treasure")
    await add(indexes, "a.md", str(tmp_path / "secret.txt"))
    await add(indexes, "b.md", "select text from txtai")
    found = await indexes.search("notes", "hidden treasure select text", tenant=TENANT)
    assert not any("treasure" in passage.text for passage in found)
    assert len(found) == 2


async def test_unknown_names_are_refused_with_the_nearest(indexes: Indexes) -> None:
    with pytest.raises(NotFound, match="Did you mean 'notes'") as caught:
        await indexes.search("note", "x", tenant=TENANT)
    assert caught.value.code == "index_not_found"
    with pytest.raises(NotFound):
        await indexes.search("notes", "x", documents=["nope"], tenant=TENANT)
    with pytest.raises(Invalid):
        await (await indexes.get("../../etc/passwd", tenant=TENANT)).describe()
    with pytest.raises(Conflict):
        await indexes.create(IndexSpec(name="notes"), tenant=TENANT)


@pytest.mark.parametrize(
    ("query", "limit", "mode", "field"),
    [
        ("  ", 8, "hybrid", "query"),
        ("x" * 10_001, 8, "hybrid", "query"),
        ("x", 0, "hybrid", "limit"),
        ("x", 101, "hybrid", "limit"),
        ("x", 8, "fuzzy", "mode"),
    ],
)
async def test_a_wrong_search_names_its_field(
    indexes: Indexes, query: str, limit: int, mode: str, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await indexes.search("notes", query, limit=limit, mode=mode, tenant=TENANT)  # type: ignore[arg-type]
    assert caught.value.details["field"] == field


@pytest.mark.parametrize(
    ("source", "title", "metadata", "field"),
    [
        ("", None, None, "source"),
        ("a\ud800.md", None, None, "source"),
        ("a.md", "\0", None, "title"),
        ("a.md", None, {"x": object()}, "metadata"),
        ("a.md", None, {"x": float("nan")}, "metadata"),
        ("a.md", None, {"x": "\ud800"}, "metadata"),
    ],
)
async def test_a_wrong_upload_names_its_field_and_leaves_nothing(
    indexes: Indexes, source: str, title: str | None, metadata: dict[str, object], field: str
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    with pytest.raises(Invalid) as caught:
        await notes.add_document(source=source, data=b"text", title=title, metadata=metadata)
    assert caught.value.details["field"] == field
    assert await notes.list_documents() == []


async def test_upload_larger_than_allowed_is_refused(indexes: Indexes) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    with pytest.raises(Invalid, match="64 MiB"):
        await notes.add_document(source="a.txt", data=b"x" * (64 * 2**20 + 1))


async def test_searches_are_served_while_an_ingest_runs_and_ingests_wait_for_each_other(
    indexes: Indexes, embedder: HashingEmbedder
) -> None:
    await add(indexes, "a.md", GARDEN)
    embedder.gate = asyncio.Event()
    first = asyncio.create_task(add(indexes, "b.md", KITCHEN))
    await embedder.entered.wait()
    second = asyncio.create_task(add(indexes, "b.md", WORKSHOP))
    assert sources(await indexes.search("notes", "tomatoes", tenant=TENANT)) == ["a.md"]
    embedder.gate.set()
    assert await first == await second
    found = await indexes.search("notes", "chisel", tenant=TENANT)
    assert [p.title for p in found if p.source == "b.md"] == ["Workshop"]


async def test_a_cancelled_ingest_leaves_what_was_committed_and_nothing_half(
    indexes: Indexes, folder: Path, embedder: HashingEmbedder
) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    await add(indexes, "a.md", GARDEN)
    embedder.gate = asyncio.Event()
    ingest = asyncio.create_task(notes.add_folder(folder))
    await embedder.entered.wait()
    ingest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingest
    embedder.gate = None
    assert [document.source for document in await notes.list_documents()] == ["a.md"]
    assert (await notes.add_folder(folder)).added == 3


async def test_tenant_with_all_its_indexes_leaves_room_for_others(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, max_indexes_per_tenant=2)
    async with open_indexes(settings, Models(), tenant=TENANT) as indexes:
        for name in ("one", "two"):
            await indexes.create(IndexSpec(name=name), tenant="flood")

        with pytest.raises(Busy) as caught:
            await indexes.create(IndexSpec(name="three"), tenant="flood")
        with pytest.raises(Conflict):
            await indexes.create(IndexSpec(name="one"), tenant="flood")
        await indexes.create(IndexSpec(name="one"), tenant="other")
        await indexes.delete("two", tenant="flood")
        await indexes.create(IndexSpec(name="three"), tenant="flood")

    assert caught.value.code == "quota_exceeded"
