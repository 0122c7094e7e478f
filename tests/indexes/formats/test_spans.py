"""For every format: each word of a document is in one passage, the right one, character-exact."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.formats import FORMATS
from indexes.reading.chunks import Chunk, cut_into_chunks
from indexes.reading.content import Content
from indexes.reading.documents import read
from tests.support.documents.books import WRITERS, Book, Path, Writer, flat, text_of


def content_of(writer: Writer, book: Book) -> Content:
    caption = text_of(book, flat) if writer.caption else None
    return read(writer.write(book), writer.filename, caption=caption)


def words_of(text: str) -> Iterator[str]:
    """The words as they were made, without what a format puts around them."""
    return (token.strip("'.") for token in text.split())


def assert_spans(content: Content, found: list[Chunk]) -> None:
    reached = 0
    for chunk in found:
        text = content.text[chunk.start : chunk.end]
        assert reached <= chunk.start < chunk.end <= len(content.text)
        assert text == text.strip()
        assert not content.text[reached : chunk.start].strip(), "text between passages is lost"
        reached = chunk.end
    assert not content.text[reached:].strip()


def places(writer: Writer, book: Book) -> tuple[dict[str, int], set[str]]:
    """(the section of each word, in order; those words that are of titles)"""
    where: dict[str, int] = {}
    titles: set[str] = set()
    for number, section in enumerate(book):
        if writer.titles:
            titles.update(section.title.split())
            where |= dict.fromkeys(section.title.split(), number)
        where |= dict.fromkeys(words_of(" ".join(section.paragraphs)), number)
    return where, titles


def common(below: set[Path]) -> Path:
    """What paths begin with, all of them."""
    shortest = min(below, key=len)
    lengths = range(len(shortest), -1, -1)
    return next(shortest[:n] for n in lengths if all(path[:n] == shortest[:n] for path in below))


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.filename)
def test_every_word_is_in_one_passage_with_its_heading_and_its_page(writer: Writer) -> None:
    @settings(
        max_examples=writer.examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(writer.books, st.integers(20, 150))
    def check(book: Book, words: int) -> None:
        content = content_of(writer, book)
        found = cut_into_chunks(content, words)
        assert_spans(content, found)
        where, titles = places(writer, book)
        path = list(writer.paths(book))
        read_words: list[str] = []
        for chunk in found:
            tokens = words_of(content.text[chunk.start : chunk.end])
            inside = [word for word in tokens if word in where]
            read_words += inside
            if body := {path[where[word]] for word in inside if word not in titles}:
                assert chunk.heading == common(body)
            if writer.pages and inside:
                assert chunk.page == where[inside[0]] + 1
        assert read_words == list(where)

    check()


def test_every_format_is_tested() -> None:
    readers = {format.reader for format in FORMATS}
    tested = {
        format.reader
        for format in FORMATS
        for writer in WRITERS
        if writer.filename.endswith(format.suffixes)
    }
    assert tested == readers
