"""What reading a document yields: its text with a structure of blocks.

Owns the types that every format's reader returns and the checks they share; which reader takes a
document is `documents`'s choice. Invariant: blocks are in order, do not overlap, and their spans
are character offsets in the text, so that a citation can open exactly what was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from config.errors import Invalid

Kind = Literal["heading", "paragraph", "list", "code", "table"]

MAX_TEXT_CHARS = 20_000_000
"""The most text that one document may hold, whatever its format."""


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (of `level` 1 and below), paragraph, list item, table row or piece of code.

    `start` and `end` are character offsets in the document's text.
    """

    kind: Kind
    start: int
    end: int
    level: int = 0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A document as it was read. Blocks are in order, trimmed of space, and do not overlap.

    `pages` are the offsets in `text` where pages begin; empty where the format has none.
    """

    text: str
    blocks: Sequence[Block]
    title: str
    media_type: str
    pages: Sequence[int] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What a format's reader returns.

    `metadata` holds what the document says of itself (its author, its date) as JSON. `title` may
    be empty: the document is then called after its file.
    """

    text: str
    blocks: Sequence[Block]
    title: str = ""
    pages: Sequence[int] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


class TooMuchText(Exception):
    """A reader gives up: the document holds more than `MAX_TEXT_CHARS`."""


def first_heading(blocks: Iterable[Block]) -> str:
    """Return the title of the first heading; empty where there is none."""
    return next((block.title for block in blocks if block.kind == "heading"), "")


def trim_span(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Shrink a span by the white space at its ends; None when nothing is left."""
    piece = text[start:end]
    body = piece.strip()
    if not body:
        return None
    start += len(piece) - len(piece.lstrip())
    return start, start + len(body)


def unreadable_document(filename: str, why: str) -> Invalid:
    """Build the error for a document that no reader can make sense of."""
    return Invalid(
        f"{filename} cannot be indexed: {why}.",
        code="unreadable_document",
        details={"file": filename, "field": "data"},
    )
