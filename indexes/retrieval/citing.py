"""Opens a cited span: what stands there, with its surroundings."""

from __future__ import annotations

from config.errors import Invalid
from indexes.records import Citation
from indexes.storage import lookup
from indexes.storage.database import IndexDatabase

CONTEXT_CHARS = 400
"""How much of the document is shown on either side."""


def cite(
    database: IndexDatabase,
    id: str,
    name: str,
    document: str,
    start: int,
    end: int,
    hash: str | None,
) -> Citation:
    """Return a span of a document with what stands around it.

    The document may be another one by now: `hash` is that of the one cited, and `changed` tells.
    Raises `NotFound` (`document_not_found`), and `Invalid` (`invalid_span`).
    """
    opened = lookup.get_document(database, id, name, document)
    changed = hash is not None and hash != opened.hash
    if not changed:
        _check_span(opened.text, start, end)
    return Citation(
        document,
        opened.title,
        opened.source,
        lookup.get_heading(database, id, document, start),
        opened.text[start:end],
        opened.text[max(0, start - CONTEXT_CHARS) : start],
        opened.text[end : end + CONTEXT_CHARS],
        start,
        end,
        changed,
    )


def _check_span(text: str, start: int, end: int) -> None:
    if not 0 <= start < end <= len(text):
        raise Invalid(
            f"The document has {len(text)} characters: there is no span {start}-{end}.",
            code="invalid_span",
            details={"field": "end"},
        )
