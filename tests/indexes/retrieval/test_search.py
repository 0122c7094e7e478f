"""Retrieval beyond a plain search: filters, surroundings, copies, several indexes, and why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.errors import Invalid, NotFound
from config.quotas import Quota
from config.settings import load_settings
from indexes.reading.chunks import Chunk
from indexes.records import Draft, Embedding, FileState, Passage
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from indexes.storage import documents, index_rows, spaces
from indexes.storage.hashes import passage_hash
from indexes.storage.store import open_store
from tests.support.indexes import HashingEmbedder, Models
from tests.support.tenants import TENANT

GARDEN = "# Garden\n\nTomatoes like warm soil and regular water.\n"


async def add(indexes: Indexes, source: str, text: str, name: str = "notes", **about: Any) -> str:
    report = await (await indexes.get(name, tenant=TENANT)).add_document(
        source=source, data=text.encode(), metadata=about
    )
    return report.documents[0]


@pytest.fixture
async def second(indexes: Indexes, models: Models) -> AsyncIterator[Indexes]:
    """The shared indexes with another index, `second`."""
    await indexes.create(IndexSpec(name="second"), tenant=TENANT)
    yield indexes
    await indexes.delete("second", tenant=TENANT)


@pytest.fixture
async def book(indexes: Indexes) -> AsyncIterator[Indexes]:
    """An index `book` of small passages: one document with two long sections."""
    await indexes.create(IndexSpec(name="book", chunk_words=20), tenant=TENANT)
    parts = [f"# {title}\n\n" + "\n\n".join(paragraphs(title)) for title in ("Sowing", "Harvest")]
    await add(indexes, "book.md", "\n\n".join(parts) + "\n", "book")
    yield indexes
    await indexes.delete("book", tenant=TENANT)


def paragraphs(title: str) -> list[str]:
    return [
        f"{title} step{n} needs a é word{n} here, " + " ".join(f"filler{n}x{m}" for m in range(12))
        for n in range(6)
    ]


async def exact(indexes: Indexes, passages: list[Passage]) -> bool:
    for passage in passages:
        document = await (await indexes.get(passage.index, tenant=TENANT)).get_document(
            passage.document
        )
        if document.text[passage.start : passage.end] != passage.text:
            return False
    return True


# Filters


async def test_a_search_finds_only_what_its_filter_allows(indexes: Indexes) -> None:
    await add(indexes, "a.md", GARDEN, year=2020)
    await add(indexes, "b.md", "# Far\n\nNothing in common.\n", year=2024)
    for mode in ("hybrid", "dense"):
        found = await indexes.search(
            "notes", "tomatoes", mode=mode, where={"year": {"gt": 2021}}, tenant=TENANT
        )
        assert [passage.source for passage in found] == ["b.md"]
    assert await indexes.search("notes", "tomatoes", where={"year": 1999}, tenant=TENANT) == []
    with pytest.raises(Invalid, match="Did you mean 'gte'"):
        await indexes.search("notes", "tomatoes", where={"year": {"gtee": 1}}, tenant=TENANT)


async def test_a_filter_and_documents_choose_together(indexes: Indexes) -> None:
    first = await add(indexes, "a.md", GARDEN, year=2020)
    await add(indexes, "b.md", GARDEN + "More.", year=2020)
    found = await indexes.search(
        "notes", "tomatoes", documents=[first], where={"year": 2020}, tenant=TENANT
    )
    assert [passage.document for passage in found] == [first]
    assert (
        await indexes.search(
            "notes", "tomatoes", documents=[first], where={"year": 1}, tenant=TENANT
        )
        == []
    )


async def test_metadata_of_a_replaced_document_matches_no_filter(indexes: Indexes) -> None:
    await add(indexes, "a.md", GARDEN, year=2020)
    await add(indexes, "a.md", GARDEN, year=2021)
    assert await indexes.search("notes", "tomatoes", where={"year": 2020}, tenant=TENANT) == []
    assert len(await indexes.search("notes", "tomatoes", where={"year": 2021}, tenant=TENANT)) == 1


async def test_filter_matching_one_percent_finds_its_ten_best_of_ten_thousand(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(7)
    vectors = random.normal(size=(10_000, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1)[:, None]).astype("<f4")
    group = random.permutation(10_000) % 100
    embedder = HashingEmbedder(dimensions=16)
    async with open_store(tmp_path / "indexes") as store:
        quota = Quota("max_indexes_per_tenant", 1, "indexes")
        await store(index_rows.create_index, "default", IndexSpec(name="large"), quota)
        id = (await store(index_rows.find_index, "default", "large")).id
        await store(spaces.use_space, id, embedder.fingerprint, 16, "embed")
        space = (await store(index_rows.find_index, "default", "large")).space
        for n, vector in enumerate(vectors):
            text = f"word{n % 50} of document {n}"
            state = FileState(f"d{n}", "", 0, 0, "")
            draft = Draft("", f"{n:05}", "", "text/plain", text, state, {"group": int(group[n])},
                          [Chunk(0, len(text), ())])  # fmt: skip
            await store(
                documents.put_document,
                id,
                draft,
                space,
                {passage_hash(text): Embedding(vector.tobytes(), b"")},
            )
    async with open_indexes(
        load_settings(home=tmp_path), Models(embedder), tenant=TENANT
    ) as indexes:
        for wanted in (3, 42, 99):
            query = f"word{wanted} question"
            vector = np.frombuffer((await embedder.embed([query])).row(0), "<f4")
            mine = np.flatnonzero(group == wanted)
            best = mine[np.argsort(-(vectors[mine] @ vector))][:10]
            where = {"group": wanted}
            found = await indexes.search(
                "large", query, limit=10, mode="dense", where=where, tenant=TENANT
            )
            assert [int(passage.source) for passage in found] == best.tolist()
            found = await indexes.search("large", query, limit=10, where=where, tenant=TENANT)
            assert len(found) == 10
            assert {int(passage.source) for passage in found} <= set(mine.tolist())


# Surroundings


async def test_a_passage_knows_its_neighbours_and_its_section(book: Indexes) -> None:
    (found,) = await book.search("book", "sowing step3", limit=1, tenant=TENANT)
    place = await (await book.get("book", tenant=TENANT)).get_passage(found.id)
    assert place.passage.id == found.id
    assert place.before
    assert place.after
    assert place.before.end <= place.passage.start < place.passage.end <= place.after.start
    section = place.section
    assert section.text.startswith("# Sowing")
    assert "step5" in section.text
    assert "Harvest" not in section.text
    assert section.match == (found.start, found.end)
    assert await exact(book, [place.before, place.passage, place.after, section])
    first = await (await book.get("book", tenant=TENANT)).get_passage(f"{found.document}.0")
    assert first.before is None


@pytest.mark.parametrize("id", ["", "x", "x.1", "{}.999", "{}.-1", "{}.²", "{}.9999999999999999"])
async def test_a_passage_that_is_not_there_is_not_found(book: Indexes, id: str) -> None:
    (document,) = await (await book.get("book", tenant=TENANT)).list_documents()
    with pytest.raises(NotFound) as caught:
        await (await book.get("book", tenant=TENANT)).get_passage(id.format(document.id))
    assert caught.value.code == "passage_not_found"


async def test_expanded_hits_hold_exactly_their_neighbours(book: Indexes) -> None:
    (plain,) = await book.search("book", "harvest step4", limit=1, tenant=TENANT)
    (grown,) = await book.search(
        "book", "harvest step4", limit=1, expand="neighbours", tenant=TENANT
    )
    place = await (await book.get("book", tenant=TENANT)).get_passage(plain.id)
    assert place.before
    assert place.after
    assert (grown.start, grown.end) == (place.before.start, place.after.end)
    assert (grown.id, grown.match, grown.score) == (plain.id, (plain.start, plain.end), plain.score)
    assert await exact(book, [grown])


async def test_hits_that_overlap_after_expansion_become_one(book: Indexes) -> None:
    found = await book.search(
        "book", "harvest step2 step3 sowing", limit=20, expand="section", tenant=TENANT
    )
    assert len(found) == 2
    assert sorted(passage.heading for passage in found) == [["Harvest"], ["Sowing"]]
    found = await book.search(
        "book", "harvest step2 step3", limit=20, expand="neighbours", tenant=TENANT
    )
    spans = sorted((passage.start, passage.end) for passage in found)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert await exact(book, found)


# Copies


async def test_equal_passages_are_one_hit_and_the_limit_is_still_reached(
    second: Indexes,
) -> None:
    for n in range(30):
        await add(second, f"copy{n}.md", GARDEN)
    await add(second, "elsewhere.md", GARDEN, "second")
    for n in range(4):
        await add(second, f"other{n}.md", f"# Other {n}\n\nTomatoes and cellar{n}.\n")
    found = await second.search(["notes", "second"], "tomatoes warm soil", limit=5, tenant=TENANT)
    assert len(found) == 5
    assert len({passage.text for passage in found}) == 5
    copies = [found[0].source, *(copy.source for copy in found[0].also)]
    assert len(set(copies)) == len(copies) == 21
    assert not any(passage.also for passage in found[1:])
    found = await second.search(
        "notes", "tomatoes", where={"source": {"glob": "copy1*"}}, tenant=TENANT
    )
    assert sorted([found[0].source, *(copy.source for copy in found[0].also)]) == sorted(
        f"copy{n}.md" for n in (1, *range(10, 20))
    )


# Several indexes


async def test_several_indexes_are_merged_by_score(second: Indexes) -> None:
    await add(second, "a.md", GARDEN)
    await add(second, "b.md", "# Tomatoes\n\nTomatoes, tomatoes: warm soil, water.\n", "second")
    await add(second, "c.md", "# Far\n\nEntirely unrelated.\n", "second")
    found = await second.search(["notes", "second"], "tomatoes water", mode="dense", tenant=TENANT)
    assert [(p.index, p.source) for p in found[:2]] in (
        [("second", "b.md"), ("notes", "a.md")],
        [("notes", "a.md"), ("second", "b.md")],
    )
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    one = {
        p.id: p.score
        for p in await second.search("second", "tomatoes water", mode="dense", tenant=TENANT)
    }
    assert {p.id: p.score for p in found if p.index == "second"} == one
    with pytest.raises(NotFound, match="Did you mean 'second'"):
        await second.search(["notes", "secnd"], "x", tenant=TENANT)
    for wrong in ([], [str(n) for n in range(33)]):
        with pytest.raises(Invalid):
            await second.search(wrong, "x", tenant=TENANT)


async def test_documents_may_belong_to_any_of_the_indexes(second: Indexes) -> None:
    first = await add(second, "a.md", GARDEN)
    other = await add(second, "b.md", GARDEN + "More.", "second")
    both = ["notes", "second"]
    found = await second.search(both, "tomatoes", documents=[first, other], tenant=TENANT)
    assert {passage.document for passage in found} == {first, other}
    with pytest.raises(NotFound) as caught:
        await second.search(both, "tomatoes", documents=[first, "nope"], tenant=TENANT)
    assert caught.value.code == "document_not_found"


async def test_indexes_of_different_models_are_merged_by_rank(
    indexes: Indexes, models: Models
) -> None:
    models.others["small"] = HashingEmbedder("small", dimensions=8)
    await indexes.create(IndexSpec(name="small", model="small"), tenant=TENANT)
    try:
        for n in range(3):
            await add(indexes, f"{n}.md", f"# N{n}\n\nTomatoes {'soil ' * n}.\n")
            await add(indexes, f"{n}.md", f"# S{n}\n\nTomatoes {'soil ' * n} there.\n", "small")
        found = await indexes.search(["notes", "small"], "tomatoes soil", limit=6, tenant=TENANT)
        assert [p.index for p in found] == ["notes", "small"] * 3
    finally:
        await indexes.delete("small", tenant=TENANT)


# Similar documents


async def test_similar_documents_come_without_the_document_itself(indexes: Indexes) -> None:
    notes = await indexes.get("notes", tenant=TENANT)
    first = await add(indexes, "a.md", GARDEN)
    near = await add(indexes, "b.md", "# Bed\n\nTomatoes like warm soil.\n")
    await add(indexes, "c.md", "# Far\n\nEntirely unrelated.\n")
    found = await notes.find_similar(first, limit=2)
    assert [each.document.source for each in found] == ["b.md", "c.md"]
    assert found[0].document.id == found[0].passage.document == near
    assert found[0].score > found[1].score
    assert await notes.find_similar(first, limit=1) == found[:1]
    with pytest.raises(NotFound):
        await notes.find_similar("nope")


async def test_similar_documents_reach_the_limit_when_one_holds_the_nearest_passages(
    book: Indexes,
) -> None:
    long = "\n\n".join(f"Sowing step{n} " + "soil " * 20 for n in range(60))
    await add(book, "long.md", long, "book")
    alike = await add(book, "alike.md", "Sowing soil step1.\n", "book")
    for n in range(3):
        await add(book, f"far{n}.md", f"Entirely unrelated{n}.\n", "book")
    found = await (await book.get("book", tenant=TENANT)).find_similar(alike, limit=4)
    assert len({each.document.id for each in found}) == 4


# Highlights and reasons


async def test_highlights_are_the_words_of_the_query_however_they_are_inflected(
    indexes: Indexes,
) -> None:
    text = "# Usage\n\nIt's watering plants that call getUserName or get_user_name, not others.\n"
    await add(indexes, "a.md", text)
    (found,) = await indexes.search(
        "notes", "watered plant username user_name", highlight=True, tenant=TENANT
    )
    shown = [found.text[start:end] for start, end in found.highlights]
    assert shown == ["watering", "plants", "UserName", "user", "name"]
    (grown,) = await indexes.search(
        "notes", "plant", highlight=True, expand="section", tenant=TENANT
    )
    assert [grown.text[start:end] for start, end in grown.highlights] == ["plants"]
    (plain,) = await indexes.search("notes", "plant", tenant=TENANT)
    assert plain.highlights == ()


async def test_an_explanation_adds_up_to_the_score(indexes: Indexes) -> None:
    await add(indexes, "a.md", GARDEN)
    await add(indexes, "b.md", "# Bed\n\nTomatoes like warm soil.\n")
    for found in await indexes.search("notes", "tomatoes soil", explain=True, tenant=TENANT):
        why = found.why
        assert why
        meaning = (why["dense"] + why["excerpt"]) / 2
        total = why["weight"] * meaning + (1 - why["weight"]) * why["keyword"]
        assert found.score == pytest.approx(total, abs=1e-4)
        assert set(why["terms"]) == {"tomato", "soil"}
    assert (await indexes.search("notes", "tomatoes", tenant=TENANT))[0].why is None


# Reranking


async def test_a_model_named_by_the_index_sorts_the_best_again(
    indexes: Indexes, models: Models
) -> None:
    await indexes.create(IndexSpec(name="sorted", rerank="rerank"), tenant=TENANT)
    try:
        for n in range(40):
            await add(indexes, f"{n}.md", f"# N{n}\n\nTomatoes {'soil ' * n}.\n", "sorted")
        found = await indexes.search("sorted", "tomatoes", tenant=TENANT)
        assert len(models.reranker.read) == 30
        lengths = [len(passage.text) for passage in found]
        assert lengths == sorted(map(len, models.reranker.read), reverse=True)[:8]
        assert [passage.why["rerank"] for passage in found if passage.why] == lengths
        plain = await indexes.search("sorted", "tomatoes", rerank=False, tenant=TENANT)
        assert [p.score for p in plain] == sorted((p.score for p in plain), reverse=True)
    finally:
        await indexes.delete("sorted", tenant=TENANT)


async def test_a_search_may_ask_for_reranking_of_any_index(
    indexes: Indexes, models: Models
) -> None:
    await add(indexes, "a.md", GARDEN)
    await add(indexes, "b.md", GARDEN + "\nAnd a great deal more about other things.\n")
    found = await indexes.search(
        "notes", "tomatoes warm soil", rerank=True, explain=True, tenant=TENANT
    )
    assert [passage.source for passage in found] == ["b.md", "a.md"]
    assert found[0].why
    assert {"dense", "rerank"} <= set(found[0].why)


# Passages as JSON


async def test_absent_fields_of_a_passage_are_not_in_its_json(indexes: Indexes) -> None:
    await add(indexes, "a.md", GARDEN)
    (plain,) = await indexes.search("notes", "tomatoes", tenant=TENANT)
    assert not {"match", "also", "highlights", "why"} & set(plain.as_dict())
    await add(indexes, "b.md", GARDEN)
    (folded,) = await indexes.search(
        "notes", "tomatoes", expand="section", highlight=True, tenant=TENANT
    )
    assert {"match", "also", "highlights"} <= set(folded.as_dict())
    assert set(folded.as_dict()["also"][0]) == {
        "index", "document", "title", "source", "start", "end"
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"expand": "page"}, {"where": 3}, {"limit": 0}])
async def test_invalid_search_argument_is_refused_by_field(
    indexes: Indexes, wrong: dict[str, Any]
) -> None:
    with pytest.raises(Invalid) as caught:
        await indexes.search("notes", "x", tenant=TENANT, **wrong)
    assert caught.value.details["field"] == next(iter(wrong))
