"""What an index finds and holds, in the terminal; and filters as they are typed."""

from __future__ import annotations

from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from config.errors import Invalid
from indexes.retrieval.filters import OPERATORS
from server.cli.search_output import TYPED, parse_filter, print_passages, print_stats

PASSAGE: dict[str, Any] = {
    "index": "docs",
    "source": "whales.md",
    "heading": ["Whales", "Songs"],
    "page": 3,
    "text": "Whales sing [loudly] under water.",
    "score": 0.51,
    "highlights": [[7, 11]],
    "why": {"dense": 0.41234, "weight": 0.8, "terms": {"sing": 0.5}},
    "also": [{"index": "docs", "source": "copy.md"}],
}
STATS: dict[str, Any] = {
    "index": "docs",
    "documents": 1200,
    "passages": 5000,
    "vectors": 4990,
    "characters": 1_000_000,
    "size_bytes": 3 * 2**20,
    "vector_bytes": 7 * 2**20,
    "sqlite_bytes": 9 * 2**20,
    "derived_bytes": 2048,
    "memory_bytes": 10 * 2**20,
    "media_types": {"text/markdown": 1200},
    "model": "embed",
    "fingerprint": None,
    "updated_at": None,
    "pending_changes": 3,
    "threshold": {"value": 0.25},
}


@pytest.fixture
def console() -> Console:
    return Console(
        file=StringIO(), width=120, force_terminal=True, color_system="standard", markup=False,
        highlight=False,
    )  # fmt: skip


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ([], None),
        (["author=Anna"], {"author": {"eq": "Anna"}}),
        (["year>=2020", "year < 2024"], {"year": {"gte": 2020, "lt": 2024}}),
        (["draft!=true"], {"draft": {"not": True}}),
        (["source~guides/*.md"], {"source": {"glob": "guides/*.md"}}),
        (["note=a=b"], {"note": {"eq": "a=b"}}),
        (['tags=["a", "b"]'], {"tags": {"eq": ["a", "b"]}}),
        (['{"author": "Bo", "year": {"gt": 1}}'], {"author": {"eq": "Bo"}, "year": {"gt": 1}}),
    ],
)
def test_filter_is_parsed_from_signs_and_json(typed: list[str], meant: Any) -> None:
    assert parse_filter(typed) == meant


@pytest.mark.parametrize(
    "typed", ["author", "=x", "{oops", "a b=c", "a==b", "a=>1", "a<<1", "a= =b"]
)
def test_malformed_filter_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_filter([typed])
    assert caught.value.code == "invalid_filter"


def test_every_sign_stands_for_an_operator() -> None:
    assert set(TYPED.values()) <= set(OPERATORS)


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused_as_an_invalid_filter(text: str) -> None:
    with suppress(Invalid):
        parse_filter([text])


def test_a_passage_is_shown_with_its_place_and_the_words_that_match(console: Console) -> None:
    passages = [PASSAGE, {**PASSAGE, "index": "other", "page": None}]
    print_passages({"passages": passages, "complete": True}, console)
    lines = printed(console)
    assert "whales.md › page 3 › Whales › Songs" in lines
    assert "\x1b[1;33msing\x1b[0m" in lines
    assert "[loudly]" in lines
    assert "dense 0.412, weight 0.800, terms (sing 0.50)" in lines
    assert "also in docs: copy.md" in lines
    assert "other: " in lines


def test_answer_that_is_not_whole_says_so_before_its_passages(console: Console) -> None:
    gap = {"index": "docs", "reason": "rebuilding", "message": "The search files are built anew."}
    print_passages({"passages": [PASSAGE], "complete": False, "gaps": [gap]}, console)

    lines = printed(console)
    assert lines.index("built anew") < lines.index("whales.md")


def test_empty_search_result_prints_a_note(console: Console) -> None:
    print_passages({"passages": [], "complete": True}, console)
    assert "Nothing is found." in printed(console)


def test_sizes_are_told_with_the_latest_ingests(console: Console) -> None:
    crawl = {
        "kind": "crawl",
        "state": "failed",
        "files_done": 3,
        "files_total": 9,
        "started_at": 1_800_000_000.0,
        "origin": '{"start": "https://example.org/"}',
        "error": "The site is gone.",
    }
    print_stats(STATS, [crawl], console)
    shown = printed(console)
    for words in ("1,200", "5,000 (4,990 different)", "7.0 MiB", "2.0 KiB", "score 0.250", "never",
                  "https://example.org/", "3/9", "The site is gone.", "3 to save"):  # fmt: skip
        assert words in shown
