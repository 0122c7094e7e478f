"""A book before it is laid out: scenes, their files, and their sentences in time. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Medium:
    """A picture or a sound of a book. `name` is its file's, within an EPUB."""

    data: bytes
    media_type: str
    name: str
    width: int = 0
    height: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Piece:
    """A stretch of a scene's text; a sentence that is read aloud has a number and its times."""

    text: str
    number: int | None = None
    start_s: float = 0.0
    end_s: float = 0.0


@dataclass(frozen=True)
class Scene:
    """A scene as it is laid out: `paragraphs` are made of pieces."""

    number: int
    title: str
    paragraphs: Sequence[Sequence[Piece]]
    alt: str = ""
    caption: str = ""
    picture: Medium | None = None
    sound: Medium | None = None

    @property
    def sentences(self) -> list[Piece]:
        """The pieces that are read aloud, in order."""
        return [piece for part in self.paragraphs for piece in part if piece.number is not None]


@dataclass(frozen=True)
class Book:
    """A whole book. `identifier` is the same for the same content."""

    title: str
    language: str
    scenes: Sequence[Scene]
    identifier: str
    modified: str
    subtitle: str = ""
    author: str = ""
    credits: Sequence[str] = field(default_factory=tuple)

    @property
    def seconds(self) -> float:
        return sum(scene.sound.seconds for scene in self.scenes if scene.sound)

    @property
    def pictures(self) -> list[Medium]:
        return [scene.picture for scene in self.scenes if scene.picture]

    @property
    def sounds(self) -> list[Medium]:
        return [scene.sound for scene in self.scenes if scene.sound]


def split_paragraphs(text: str, sentences: Sequence[Mapping[str, Any]]) -> list[list[Piece]]:
    """Split a text into paragraphs of pieces.

    A sentence that does not stand in the text word for word is left out: its time then belongs to
    no piece.
    """
    pieces = list(_split_pieces(text.strip(), sentences))
    paragraphs: list[list[Piece]] = [[]]
    for piece in pieces:
        parts = PARAGRAPH.split(piece.text) if piece.number is None else [piece.text]
        for index, part in enumerate(parts):
            if index:
                paragraphs.append([])
            if part:
                paragraphs[-1].append(_with_text(piece, part))
    return [
        _trim_paragraph(part)
        for part in paragraphs
        if "".join(piece.text for piece in part).strip()
    ]


def _split_pieces(text: str, sentences: Sequence[Mapping[str, Any]]) -> Iterator[Piece]:
    position = 0
    for number, sentence in enumerate(sentences, 1):
        words = str(sentence["text"]).split()
        match = (
            re.compile(r"\s+".join(map(re.escape, words))).search(text, position) if words else None
        )
        if match is None or PARAGRAPH.search(match[0]):
            continue
        if match.start() > position:
            yield Piece(text[position : match.start()])
        yield Piece(match[0], number, sentence["start_s"], sentence["end_s"])
        position = match.end()
    if position < len(text):
        yield Piece(text[position:])


def _with_text(piece: Piece, text: str) -> Piece:
    return Piece(text, piece.number, piece.start_s, piece.end_s)


def _trim_paragraph(pieces: list[Piece]) -> list[Piece]:
    """Trim a paragraph's first and last piece."""
    first, last = pieces[0], pieces[-1]
    pieces[0] = _with_text(first, first.text.lstrip())
    pieces[-1] = _with_text(pieces[-1] if len(pieces) == 1 else last, pieces[-1].text.rstrip())
    return pieces
