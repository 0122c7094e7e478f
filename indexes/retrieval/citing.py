"""A cited span, opened: what stands there, with its surroundings."""

from __future__ import annotations

from config.errors import Invalid
from indexes.records import Citation
from indexes.storage import lookup
from indexes.storage.database import Database

CONTEXT_CHARS = 400


def cite(
    database: Database, id: str, name: str, document: str, start: int, end: int, hash: str | None
) -> Citation:
    """The span of a document, which may be another one by now: `hash` is that of the one cited."""
    found = lookup.document(database, id, name, document)
    changed = hash is not None and hash != found.hash
    if not (0 <= start < end <= len(found.text) or changed):
        raise Invalid(
            f"The document has {len(found.text)} characters: there is no span {start}-{end}.",
            code="invalid_span",
            details={"field": "end"},
        )
    return Citation(
        document,
        found.title,
        found.source,
        lookup.heading_at(database, id, document, start),
        found.text[start:end],
        found.text[max(0, start - CONTEXT_CHARS) : start],
        found.text[end : end + CONTEXT_CHARS],
        start,
        end,
        changed,
    )
