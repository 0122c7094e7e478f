"""One derived index: after any changes it answers like one built from nothing."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.derived import folder
from indexes.derived.hybrid_index import Floats, HybridIndex
from indexes.derived.ranking import Mode, Query, search

WORDS = [f"word{number}" for number in range(40)]
DIMENSIONS = 16
MODES: tuple[Mode, ...] = ("hybrid", "dense", "keyword")


def vectors(numbers: list[int]) -> Floats:
    rows = [np.random.default_rng(number % 50).normal(size=DIMENSIONS) for number in numbers]
    found = np.array(rows, np.float32).reshape(-1, DIMENSIONS)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def words(number: int) -> list[str]:
    random = Random(number)
    return random.choices(WORDS[: random.randint(1, 40)], k=random.randint(0, 30))


def added(index: HybridIndex, numbers: list[int]) -> None:
    index.add(numbers, [words(number) for number in numbers], vectors(numbers))


def built(numbers: list[int]) -> HybridIndex:
    index = HybridIndex()
    added(index, numbers)
    return index


def queries(limit: int = 30) -> list[Query]:
    return [
        Query(words(seed), vectors([seed])[0], mode, 0.7, limit)
        for seed in (7, 8)
        for mode in MODES
    ]


def assert_equal(index: HybridIndex, other: HybridIndex) -> None:
    assert index.numbers.tolist() == other.numbers.tolist()
    for mine, theirs in zip(search(index, queries()), search(other, queries()), strict=True):
        assert [number for number, _ in mine.hits] == [number for number, _ in theirs.hits]
        scores = [score for _, score in theirs.hits]
        assert [score for _, score in mine.hits] == pytest.approx(scores, abs=2e-6)


Steps = list[tuple[int, list[int]]]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.lists(st.integers(0, 300), max_size=40))))
def test_after_adding_and_removing_in_any_order_scores_are_those_of_a_new_index(
    steps: Steps,
) -> None:
    index, present, last = HybridIndex(), list[int](), 0
    for count, places in steps:
        new = list(range(last + 1, last + count + 1))
        last += count
        added(index, new)
        gone = {present[place % len(present)] for place in places if present}
        index.delete([*gone, 10_000])
        present = [number for number in [*present, *new] if number not in gone]
    assert_equal(index, built(present))


def test_an_index_that_was_saved_and_loaded_goes_on_like_the_one_in_memory(tmp_path: Path) -> None:
    index = built(list(range(1, 200)))
    index.delete(list(range(1, 150, 2)))
    folder.save(index, tmp_path, "model", 7)

    loaded = folder.load(tmp_path, "model")

    assert loaded.change == 7
    for each in (index, loaded.index):
        added(each, [300, 301])
        each.delete([2, 300])
    assert_equal(index, loaded.index)


def test_a_word_that_no_passage_holds_any_more_is_written_to_no_file(tmp_path: Path) -> None:
    index = HybridIndex()
    index.add([1, 2], [["apple", "quince"], ["apple", "frobnicate"]], vectors([1, 2]))
    index.delete([2])
    folder.save(index, tmp_path, "model", 3)
    saved = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"quince" in saved
    assert b"frobnicate" not in saved


def files_of(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def with_secret() -> HybridIndex:
    index = built([1, 2, 3])
    index.add([4], [["frobnicate", *words(1)]], vectors([4]))
    return index


def test_redacted_word_leaves_the_files_and_what_was_saved_is_opened_and_caught_up(
    tmp_path: Path,
) -> None:
    index = with_secret()
    folder.save(index, tmp_path, "model", 4)
    index.delete([4])

    folder.redact(index, tmp_path)

    assert b"frobnicate" not in files_of(tmp_path)
    loaded = folder.load(tmp_path, "model")
    assert (len(loaded.index), loaded.change) == (4, 4)
    loaded.index.delete([4])
    assert_equal(loaded.index, built([1, 2, 3]))
    for each in (index, loaded.index):
        each.add([5], [["frobnicate", *words(5)]], vectors([5]))
    assert_equal(index, loaded.index)


def test_redacting_twice_and_saving_again_changes_no_score(tmp_path: Path) -> None:
    index = with_secret()
    folder.save(index, tmp_path, "model", 4)
    index.delete([4])
    folder.redact(index, tmp_path)
    index.delete([1])
    folder.redact(index, tmp_path)

    loaded = folder.load(tmp_path, "model").index
    loaded.delete([1, 4])
    folder.save(loaded, tmp_path, "model", 6)

    assert_equal(folder.load(tmp_path, "model").index, built([2, 3]))


def test_words_from_before_a_redaction_that_was_cut_short_are_removed_when_opened(
    tmp_path: Path,
) -> None:
    index = with_secret()
    folder.save(index, tmp_path, "model", 4)
    (saved,) = tmp_path.glob("saved-*")
    (saved / "words-of-before").write_text("frobnicate")
    index.delete([4])
    folder.redact(index, tmp_path)

    assert b"frobnicate" not in files_of(tmp_path)


def test_where_nothing_is_saved_there_is_nothing_to_redact(tmp_path: Path) -> None:
    folder.redact(built([1]), tmp_path)
    folder.save(HybridIndex(), tmp_path, "model", 1)

    folder.redact(built([1]), tmp_path)

    assert folder.load(tmp_path, "model").change == 1


def test_an_index_can_be_emptied_saved_and_filled_again(tmp_path: Path) -> None:
    index = built([1, 2, 3])
    index.delete([1, 2, 3])
    folder.save(index, tmp_path, "model", 6)

    loaded = folder.load(tmp_path, "model")

    assert (len(loaded.index), loaded.change) == (0, 6)
    for each in (index, loaded.index):
        assert search(each, queries())[0].hits == []
        added(each, [7, 8])
        assert_equal(each, built([7, 8]))


def test_filtered_passages_have_the_scores_that_they_have_unfiltered() -> None:
    index = built(list(range(1, 400)))
    allowed = np.array([399, 5, 17, 5, 1000], np.int64)
    for mode in MODES:
        wide = Query(words(7), vectors([7])[0], mode, 0.7, 400)
        narrow = Query(words(7), vectors([7])[0], mode, 0.7, 10, allowed)
        everything, chosen = search(index, [wide, narrow])
        scores = dict(everything.hits)
        assert dict(chosen.hits) == pytest.approx(
            {number: scores[number] for number in (5, 17, 399) if number in scores}, abs=2e-6
        )


def test_queries_of_one_batch_answer_as_if_alone_and_the_first_of_equals_comes_first() -> None:
    index = built(list(range(1, 400)))
    together = search(index, queries(limit=8))
    for query, found in zip(queries(limit=8), together, strict=True):
        (alone,) = search(index, [query])
        assert dict(alone.hits) == pytest.approx(dict(found.hits), abs=2e-6)
    index = HybridIndex()
    index.add([4, 5, 9], [["same"]] * 3, vectors([1, 1, 1]))
    for mode in MODES:
        (found,) = search(index, [Query(["same"], vectors([1])[0], mode, 0.7, 2)])
        assert [number for number, _ in found.hits] == [4, 5]


def test_a_score_is_explained_by_its_parts() -> None:
    index = built(list(range(1, 60)))
    query = Query(words(7), vectors([7])[0], "hybrid", 0.7, 10, explain=True)
    (found,) = search(index, [query])
    assert found.why
    for (_, score), why in zip(found.hits, found.why, strict=True):
        assert why["weight"] == 0.7
        assert score == pytest.approx(0.7 * why["dense"] + 0.3 * why["keyword"], abs=3e-6)
        assert min(1.0, sum(why["terms"].values())) == pytest.approx(why["keyword"], abs=1e-4)
        assert set(why["terms"]) <= set(query.tokens)
    (keyword,) = search(index, [Query(words(7), None, "keyword", 0.7, 10, explain=True)])
    assert keyword.why
    assert keyword.why[0]["dense"] is None
    assert keyword.why[0]["weight"] == 0.0


def test_keyword_scores_are_those_of_txtai() -> None:
    from txtai.scoring import BM25

    numbers = list(range(1, 100))
    passages = {number: words(number) for number in numbers if words(number)}
    theirs = BM25({"normalize": True, "terms": {"cutoff": 1.0}})
    theirs.index((number, tokens, None) for number, tokens in passages.items())
    index = HybridIndex()
    index.add(list(passages), list(passages.values()), vectors(list(passages)))
    for seed in (7, 8, 9):
        (mine,) = search(index, [Query(words(seed), None, "keyword", 0.7, 100)])
        expected = dict(theirs.search(words(seed), 100))
        assert dict(mine.hits) == pytest.approx(expected, abs=1e-5)
