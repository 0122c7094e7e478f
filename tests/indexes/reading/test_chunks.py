"""Passages: exact spans, along the structure, of about one size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.reading.chunks import MAX_OVERSIZE, count_words, cut_into_chunks
from indexes.reading.content import Content
from indexes.reading.documents import read

WORDS = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12
)
LINES = st.one_of(
    WORDS,
    st.lists(WORDS, max_size=60).map(" ".join),
    st.lists(WORDS, max_size=30).map(". ".join),
    WORDS.map("# {}".format),
    WORDS.map("### {}".format),
    WORDS.map("- {}".format),
    WORDS.map("    {}".format),
    WORDS.map("> > - {}".format),
    WORDS.map("| {} | x |\n|---|---|\n| 1 | 2 |".format),
    st.sampled_from(
        ["```", "---", "===", "", "", "[a]: http://b", "<div>", "漢字" * 90, "x" * 9000]
    ),
)
SOURCES = st.tuples(st.lists(LINES, min_size=1, max_size=40), st.sampled_from(["\n", "\r\n", "\r"]))


def content_of(source: str, filename: str) -> Content:
    return read(f"x {source}".encode(), filename)


def assert_exact(content: Content, words: int) -> None:
    reached = 0
    for chunk in cut_into_chunks(content, words):
        text = content.text[chunk.start : chunk.end]
        assert text
        assert text == text.strip()
        assert chunk.start >= reached
        assert not content.text[reached : chunk.start].strip(), "text between passages is lost"
        assert count_words(text) <= MAX_OVERSIZE * words
        reached = chunk.end
    assert not content.text[reached:].strip()


@given(SOURCES, st.integers(20, 300))
def test_markdown_passages_are_exact_ordered_bounded_and_lose_no_text(
    source: tuple[list[str], str], words: int
) -> None:
    lines, newline = source
    assert_exact(content_of(newline.join(lines), "a.md"), words)


@given(SOURCES, st.integers(20, 300))
def test_plain_passages_are_exact_ordered_bounded_and_lose_no_text(
    source: tuple[list[str], str], words: int
) -> None:
    lines, newline = source
    assert_exact(content_of(newline.join(lines), "a.rst"), words)


@given(st.lists(st.tuples(st.sampled_from(["p", "h2", "li", "pre", "td", "b", "x"]), WORDS)))
def test_html_passages_are_exact_ordered_bounded_and_lose_no_text(
    elements: list[tuple[str, str]],
) -> None:
    source = "".join(f"<{tag}>{text}</{tag}>" for tag, text in elements)
    assert_exact(content_of(source, "a.html"), 20)


def sized(*sections: tuple[str, int]) -> Content:
    body = [f"{head}\n\n" + " ".join(f"word{n}" for n in range(size)) for head, size in sections]
    return read("\n\n".join(body).encode(), "a.md")


def test_a_passage_begins_with_its_heading_and_never_spans_two_sections() -> None:
    content = sized(("# One", 150), ("## Two", 150), ("# Three", 150))
    found = cut_into_chunks(content, 200)
    assert [chunk.heading for chunk in found] == [("One",), ("One", "Two"), ("Three",)]
    assert [content.text[chunk.start :].split()[1] for chunk in found] == ["One", "Two", "Three"]


def test_a_tiny_section_joins_the_next_one() -> None:
    found = cut_into_chunks(sized(("# One", 0), ("## Two", 10), ("## Three", 150)), 200)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("sections", "heading"),
    [
        ([("# One", 0), ("## Two", 150)], ("One", "Two")),
        ([("# One", 10), ("## Two", 150)], ("One",)),
        ([("# One", 0), ("## Two", 10), ("## Three", 150)], ("One",)),
        ([("# One", 0), ("## Two", 0), ("### Three", 150)], ("One", "Two", "Three")),
        ([("# One", 10), ("# Two", 150)], ()),
        ([("# One", 0), ("# Two", 150)], ("Two",)),
    ],
)
def test_joined_sections_carry_their_common_headings(
    sections: list[tuple[str, int]], heading: tuple[str, ...]
) -> None:
    assert [chunk.heading for chunk in cut_into_chunks(sized(*sections), 200)] == [heading]


def test_further_passages_of_a_joined_section_carry_its_own_heading() -> None:
    long = ". ".join(f"word{n}" for n in range(450))
    content = read(f"# One\n\nfew words\n\n# Two\n\n{long}".encode(), "a.md")
    assert [chunk.heading for chunk in cut_into_chunks(content, 200)] == [(), ("Two",)]


def test_a_long_section_is_cut_into_even_passages_at_sentences() -> None:
    text = "# Title\n\n" + " ".join(f"Sentence {n} has exactly six words." for n in range(50))
    content = read(text.encode(), "a.md")
    found = cut_into_chunks(content, 200)
    sizes = [count_words(content.text[chunk.start : chunk.end]) for chunk in found]
    assert len(sizes) == 2
    assert max(sizes) - min(sizes) <= 12
    assert all(content.text[chunk.end - 1] == "." for chunk in found)


def test_code_that_fits_a_passage_is_not_cut() -> None:
    code = "```\n" + "\n".join(f"line {n}" for n in range(40)) + "\n```"
    prose = " ".join(f"word{n}" for n in range(150))
    content = read(f"# A\n\n{prose}\n\n{code}\n\n{prose}".encode(), "a.md")
    assert any(
        code in content.text[chunk.start : chunk.end] for chunk in cut_into_chunks(content, 200)
    )
