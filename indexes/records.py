"""Values that the parts of the indexes hand to each other, and to their callers.

All are frozen. `as_dict` is the form in which the HTTP API and events show them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from indexes.reading.chunks import Chunk
from indexes.spec import IndexSpec

STORE_FAILED = "index_storage_failed"
"""Storage can be neither read nor written: the disk may be full."""
SAVE_FAILED = "index_save_failed"
"""A derived index cannot be saved."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Where else the same passage stands, word for word."""

    index: str
    document: str
    title: str
    source: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch of a document, in characters of its text, and its cosine to what was looked for."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document; the document's text from `start` to `end` is exactly `text`.

    `source` is a path below the indexed folder, an upload's filename, or a URL. `hash` names the
    version of the document that the span belongs to.

    Where a search was asked to expand, the text is what stands around the passage too, and
    `match` the span, in the document, of what was found. `quotes` are the sentences in it that
    come nearest to the query. `highlights` are spans in `text`. `why` says how the score came
    about: `dense` and `excerpt` (cosines of the passage and of its best excerpt), `keyword`,
    `weight`, `terms`, `rerank`.
    """

    id: str
    index: str
    document: str
    title: str
    source: str
    heading: list[str]
    text: str
    start: int
    end: int
    page: int | None
    hash: str
    score: float
    match: tuple[int, int] | None = None
    quotes: Sequence[Quote] = ()
    also: Sequence[Copy] = ()
    highlights: Sequence[tuple[int, int]] = ()
    why: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Convert to JSON; leave out `match`, `quotes`, `also`, `highlights`, `why` if empty."""
        shown = asdict(self)
        for name in ("match", "quotes", "also", "highlights", "why"):
            if not shown[name]:
                del shown[name]
        return shown


@dataclass(frozen=True, slots=True)
class PassageHit:
    """A passage with its position in its document (from 0), and its text's hash."""

    passage: Passage
    ordinal: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class PassageContext:
    """A passage with its neighbours and its section.

    The section is all text around it below the same headings, if that is not too long.
    """

    passage: Passage
    before: Passage | None
    after: Passage | None
    section: Passage

    def as_dict(self) -> dict[str, Any]:
        sides = {"before": self.before, "after": self.after}
        return {
            "passage": self.passage.as_dict(),
            **{name: side and side.as_dict() for name, side in sides.items()},
            "section": self.section.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Document:
    """One indexed source. `text` is what spans refer to; it is empty in listings.

    For Markdown and plain text it is the decoded file, for HTML the text that a reader sees.
    `hash` is that of the text, `bytes_hash` that of the original bytes (SHA-256, hex).
    """

    id: str
    index: str
    source: str
    title: str
    media_type: str
    hash: str
    bytes_hash: str
    size_bytes: int
    passages: int
    updated_at: float
    metadata: dict[str, Any]
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Citation:
    """A span with its surroundings; `changed` says that the document is another one by now."""

    document: str
    title: str
    source: str
    heading: list[str]
    text: str
    before: str
    after: str
    start: int
    end: int
    changed: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index as a list shows it."""

    name: str
    description: str
    folders: list[str]
    documents: int
    passages: int
    chunk_words: int
    model: str
    weight: float
    embedded_by: str | None
    rerank: str | None
    watch: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """An index as storage holds it at one moment, with its vector space.

    `last_change` numbers the latest change; removals up to `saved_change` are forgotten.
    """

    id: str
    tenant: str
    spec: IndexSpec
    space: int | None
    fingerprint: str | None
    dimensions: int
    last_change: int
    saved_change: int
    embedded_with: str | None = None
    """The model that made the vectors, by its name; None when that is not known."""
    next_space: int | None = None
    """The vectors of another model, which are being made."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What is stored of a file: by this the next ingest sees whether it has changed.

    `recipe` names how it was read and cut; `mtime_ns` is 0 if it cannot be trusted.
    """

    id: str
    bytes_hash: str
    size_bytes: int
    mtime_ns: int
    recipe: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that was read and cut, ready to be committed. `state` holds its id."""

    origin: str
    source: str
    title: str
    media_type: str
    text: str
    state: FileState
    metadata: dict[str, Any]
    chunks: Sequence[Chunk]

    def texts(self) -> list[str]:
        """Cut the document's passages out of its text."""
        return [self.text[chunk.start : chunk.end] for chunk in self.chunks]

    def titled(self, title: str | None) -> Draft:
        return replace(self, title=title) if title else self


class Embedding(NamedTuple):
    """A passage's vector (float32, little-endian) and its excerpts (`excerpts.pack_excerpts`)."""

    vector: bytes
    excerpts: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to an index up to change `upto`: passages added, and removed.

    `numbers`, `texts` and `vectors` (float32, little-endian, one after the other) are those of the
    added passages, in the same order; `removed` are the numbers of removed ones.
    """

    upto: int
    numbers: list[int]
    texts: list[str]
    vectors: bytes
    removed: list[int]
