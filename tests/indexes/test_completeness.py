"""Answers that are not whole say so: lost search files, ingests under way, models that are gone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.errors import NotFound, Unavailable
from config.settings import load_settings
from indexes.derived import synchronizer, worker_client
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from models.workers.process import Reply, WorkerProcess
from tests.support.indexes import HashingEmbedder, LongestFirst, Models
from tests.support.tenants import TENANT

BOUND_S = 120
COUNT = 4


class Held(WorkerProcess):
    """A real worker; what it is asked by one method waits until it may go on, from the n-th on."""

    method, passing = "", 0
    reached = asyncio.Event()
    go_on = asyncio.Event()

    @classmethod
    def hold(cls, method: str, after: int = 0) -> None:
        cls.method, cls.passing = method, after
        cls.reached, cls.go_on = asyncio.Event(), asyncio.Event()

    async def call(self, method: str, *args: Any, **options: Any) -> Reply:
        if method == Held.method:
            Held.passing -= 1
            if Held.passing < 0:
                Held.reached.set()
                await Held.go_on.wait()
        return await super().call(method, *args, **options)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_client, "BATCH", 1)
    monkeypatch.setattr(synchronizer, "RESTORE_WAIT_S", BOUND_S)  # for machines that are busy
    Held.method = ""


@asynccontextmanager
async def opened(home: Path, models: Models | None = None) -> AsyncIterator[Indexes]:
    settings = load_settings(home=home)
    async with (
        asyncio.timeout(BOUND_S),
        open_indexes(settings, models or Models(), worker=Held, tenant=TENANT) as indexes,
    ):
        yield indexes


async def add(indexes: Indexes, number: int, index: str = "docs") -> str:
    text = f"# Document {number}\n\nAll about subject{number} is here.\n"
    docs = await indexes.get(index, tenant=TENANT)
    report = await docs.add_document(source=f"{number}.md", data=text.encode())
    return report.documents[0]


@pytest.fixture
async def lost(tmp_path: Path) -> Path:
    """A data folder with documents whose search files are lost."""
    async with opened(tmp_path) as indexes:
        for number in range(COUNT):
            await add(indexes, number)
    shutil.rmtree(tmp_path / "indexes" / "derived")
    return tmp_path


def reasons(found: Any) -> list[str]:
    return [gap.reason for gap in found.gaps]


async def test_searches_wait_for_lost_search_files_and_then_miss_nothing(lost: Path) -> None:
    async with opened(lost) as indexes:
        Held.hold("apply", after=1)
        searches = [
            asyncio.create_task(indexes.search("docs", "subject", tenant=TENANT)) for _ in range(8)
        ]
        await Held.reached.wait()
        late = asyncio.create_task(indexes.search("docs", "subject", tenant=TENANT))
        await asyncio.sleep(0)
        Held.go_on.set()

        answers = await asyncio.gather(*searches, late)

        assert [len(found) for found in answers] == [COUNT] * 9
        assert all(found.complete for found in answers)


async def test_search_beyond_its_wait_answers_in_part_and_says_so(
    lost: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(lost) as indexes:
        Held.hold("apply", after=1)
        first = asyncio.create_task(indexes.search("docs", "subject", tenant=TENANT))
        await Held.reached.wait()  # one document is there again
        monkeypatch.setattr(synchronizer, "RESTORE_WAIT_S", 0.05)

        found = await indexes.search("docs", "subject", tenant=TENANT)

        assert len(found) < COUNT
        assert not found.complete
        assert found.completeness()["gaps"][0]["reason"] == "rebuilding"
        assert "built anew" in found.gaps[0].message
        similar = await (await indexes.get("docs", tenant=TENANT)).find_similar(found[0].document)
        assert reasons(similar) == ["rebuilding"]
        monkeypatch.setattr(synchronizer, "RESTORE_WAIT_S", BOUND_S)
        Held.go_on.set()
        whole = await indexes.search("docs", "subject", tenant=TENANT)
        assert (len(whole), whole.complete) == (COUNT, True)
        assert (await first).complete


async def test_client_that_leaves_does_not_stop_what_brings_the_index_back(lost: Path) -> None:
    async with opened(lost) as indexes:
        Held.hold("apply", after=1)
        first = asyncio.create_task(indexes.search("docs", "subject", tenant=TENANT))
        await Held.reached.wait()
        first.cancel()
        await asyncio.wait([first])
        Held.go_on.set()

        found = await indexes.search("docs", "subject", tenant=TENANT)

        assert (len(found), found.complete) == (COUNT, True)


async def test_worker_killed_while_the_index_is_brought_back_hides_nothing(lost: Path) -> None:
    async with opened(lost) as indexes:
        Held.hold("apply", after=2)
        first = asyncio.create_task(indexes.search("docs", "subject", tenant=TENANT))
        await Held.reached.wait()
        assert indexes.worker
        indexes.worker.kill()
        Held.go_on.set()

        assert len(await first) == COUNT
        assert (await first).complete


async def test_several_indexes_name_the_one_that_is_not_whole(
    lost: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(lost) as indexes:
        await indexes.create(IndexSpec(name="whole"), tenant=TENANT)
        await add(indexes, 9, "whole")
        monkeypatch.setattr(synchronizer, "RESTORE_WAIT_S", 0.05)
        Held.hold("apply", after=1)

        found = await indexes.search(["whole", "docs"], "subject", tenant=TENANT)

        assert [(gap.index, gap.reason) for gap in found.gaps] == [("docs", "rebuilding")]
        Held.go_on.set()


@pytest.mark.parametrize("before", [0, 1])
async def test_ingest_under_way_is_told_until_it_ends(tmp_path: Path, before: int) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nAll about subject7 is here.\n")
    models = Models(HashingEmbedder())
    async with opened(tmp_path, models) as indexes:
        docs = await indexes.get("docs", tenant=TENANT)
        for number in range(before):
            await add(indexes, number)
        models.embedder.gate = asyncio.Event()
        ingest = asyncio.create_task(docs.add_folder(folder))
        await models.embedder.entered.wait()

        during = await docs.search("subject0", mode="keyword")

        assert (len(during), reasons(during)) == (before, ["ingesting"])
        models.embedder.gate.set()
        await ingest
        after = await docs.search("subject7", limit=1)
        assert (after[0].source, after.complete) == ("a.md", True)


class Broken(LongestFirst):
    async def rerank(self, query: str, texts: Any) -> list[float]:
        raise Unavailable("The reranker's worker ended.", code="worker_died")


async def test_reranker_that_fails_leaves_the_order_of_the_search_and_is_told(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, Models(reranker=Broken())) as indexes:
        await indexes.create(IndexSpec(name="sorted", rerank="rerank"), tenant=TENANT)
        await add(indexes, 0, "sorted")

        found = await indexes.search("sorted", "subject0", tenant=TENANT)

        assert ([p.source for p in found], reasons(found)) == (["0.md"], ["not_reranked"])
        with pytest.raises(Unavailable, match="reranker's worker"):
            await indexes.search("sorted", "subject0", rerank=True, tenant=TENANT)


async def test_index_whose_embedder_is_gone_is_searched_by_keywords_and_says_so(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as indexes:
        await add(indexes, 0)
    Held.hold("build")  # it stays embedded by the former model
    models = Models(HashingEmbedder(fingerprint="another"))
    async with opened(tmp_path, models) as indexes:
        found = await indexes.search("docs", "subject0", tenant=TENANT)
        by_words = await indexes.search("docs", "subject0", mode="keyword", tenant=TENANT)
        Held.go_on.set()

    assert ([p.source for p in found], reasons(found)) == (["0.md"], ["no_embedder"])
    assert by_words.complete


async def test_index_deleted_while_it_is_rebuilt_is_not_found(tmp_path: Path) -> None:
    async with opened(tmp_path) as indexes:
        await add(indexes, 0)
        docs = await indexes.get("docs", tenant=TENANT)
        Held.hold("build")
        rebuilds = [asyncio.create_task(docs.rebuild()) for _ in range(2)]
        await Held.reached.wait()
        deleting = asyncio.create_task(indexes.delete("docs", tenant=TENANT))
        await asyncio.sleep(0)
        Held.go_on.set()
        await deleting

        results = await asyncio.gather(*rebuilds, return_exceptions=True)

        assert [type(error) for error in results] == [NotFound, NotFound]
        assert not (tmp_path / "indexes" / "derived").exists() or not list(
            (tmp_path / "indexes" / "derived").iterdir()
        )


async def test_who_gives_up_a_rebuild_ends_nobody_elses(tmp_path: Path) -> None:
    async with opened(tmp_path) as indexes:
        await add(indexes, 0)
        docs = await indexes.get("docs", tenant=TENANT)
        Held.hold("build")
        first = asyncio.create_task(docs.rebuild())
        await Held.reached.wait()
        first.cancel()
        second = asyncio.create_task(docs.rebuild())
        await asyncio.sleep(0)
        Held.go_on.set()

        await second

        assert len(await docs.search("subject0")) == 1


def test_whole_answer_has_no_gaps_in_its_json() -> None:
    from indexes.retrieval.completeness import SearchResults, ingesting

    whole: Mapping[str, Any] = SearchResults([1]).completeness()
    partial = SearchResults([1], [ingesting("docs"), ingesting("docs")])

    assert whole == {"complete": True}
    assert len(partial.completeness()["gaps"]) == 1
