"""The node `retrieve`: passages, documents and lists of an index."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import Invalid, NotFound
from indexes.retrieval.completeness import rebuilding
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import (
    FakeDocument,
    FakeIndexes,
    FakePassage,
    context,
)

LIBRARY = FakeIndexes(
    [FakePassage("p1", "start here."), FakePassage("p2", "start there.", document="d2")],
    [FakeDocument("d1", "Whole text."), FakeDocument("d2", "Other.")],
)


def retrieving(fields: str) -> Any:
    return agent_of_yaml(
        f"input: {{ids: {{type: list, default: null}}}}\n"
        f"nodes: {{look: {{type: retrieve, index: docs, {fields}, save: found}}}}\n"
        "output: [found]\n"
    )


async def test_retrieve_finds_passages_documents_and_their_list() -> None:
    used = context(indexes=LIBRARY, tenant="t1")
    transcript = await run(retrieving("query: start, limit: 1, mode: dense"), {}, used)
    assert [p["id"] for p in transcript.output["found"]] == ["p1"]
    assert LIBRARY.searches[-1] == {
        "name": "docs", "query": "start", "limit": 1, "mode": "dense", "tenant": "t1",
        "where": None, "expand": "none", "rerank": None, "highlight": False,
    }  # fmt: skip
    narrow = retrieving("query: start, documents: '{{ ids }}'")
    assert [p["id"] for p in (await run(narrow, {"ids": ["d2"]}, used)).output["found"]] == ["p2"]
    assert len((await run(narrow, {}, used)).output["found"]) == 2
    listed = (await run(retrieving("list: true"), {}, used)).output["found"]
    assert [set(document) for document in listed] == [{"id", "title", "source"}] * 2
    whole = (await run(retrieving("document: d2"), {}, used)).output["found"]
    assert whole["text"] == "Other."


async def test_retrieve_passes_options_and_filters_to_the_search() -> None:
    agent = agent_of_yaml(
        "input: {names: {type: any}, wanted: {type: object}}\n"
        "nodes: {look: {type: retrieve, index: '{{ names }}', query: start, expand: section,\n"
        "  rerank: true, highlight: true, where: {language: '{{ wanted.language }}', page: 3},\n"
        "  save: found}}\noutput: [found]\n"
    )
    used = context(indexes=LIBRARY)
    wanted = {"language": "en"}
    await run(agent, {"names": ["docs", "notes", "docs"], "wanted": wanted}, used)
    asked = LIBRARY.searches[-1]
    assert asked["name"] == ["docs", "notes"]
    assert asked["where"] == {"language": "en", "page": 3}
    assert (asked["expand"], asked["rerank"], asked["highlight"]) == ("section", True, True)
    with pytest.raises(Invalid, match="names no index"):
        await run(agent, {"names": [], "wanted": wanted}, used)


async def test_reading_a_document_from_several_indexes_is_refused() -> None:
    agent = agent_of_yaml(
        "nodes: {look: {type: retrieve, index: [a, b], document: d1, save: found}}\n"
        "output: [found]\n"
    )
    with pytest.raises(Invalid, match="from one"):
        await run(agent, {}, context(indexes=LIBRARY))


async def test_retrieving_an_unknown_document_is_not_found() -> None:
    with pytest.raises(NotFound):
        await run(retrieving("document: d9"), {}, context(indexes=LIBRARY))


async def test_retrieve_with_a_limit_that_is_no_number_is_refused() -> None:
    with pytest.raises(Invalid, match="whole number"):
        await run(retrieving("query: x, limit: '{{ ids }}'"), {}, context(indexes=LIBRARY))


async def test_retrieve_tells_what_its_passages_may_lack() -> None:
    agent = agent_of_yaml(
        "nodes: {look: {type: retrieve, index: docs, query: start,\n"
        "  save: {found: passages, whole: complete, gaps: gaps}}}\noutput: [found, whole, gaps]\n"
    )
    partial = FakeIndexes(LIBRARY.passages, gaps=[rebuilding("docs", 0.5)])

    transcript = await run(agent, {}, context(indexes=partial))

    assert transcript.output["whole"] is False
    assert [gap["reason"] for gap in transcript.output["gaps"]] == ["rebuilding"]
    (warning,) = transcript.kinds("warning")
    assert (warning["code"], warning["reason"]) == ("search_incomplete", "rebuilding")
    assert "about 50 %" in warning["message"]
    whole = await run(agent, {}, context(indexes=LIBRARY))
    assert (whole.output["whole"], whole.output["gaps"], whole.kinds("warning")) == (True, [], [])
