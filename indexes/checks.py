"""What may be asked of the indexes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from config.errors import Invalid

MAX_LIMIT = 100
MAX_QUERY_CHARS = 10_000


def searchable(query: str, limit: int, mode: str) -> str:
    """The query as text that can be encoded. Raises `Invalid` naming the field."""
    if not query.strip() or len(query) > MAX_QUERY_CHARS:
        raise _wrong("query", f"must hold 1 to {MAX_QUERY_CHARS} characters")
    if not 1 <= limit <= MAX_LIMIT:
        raise _wrong("limit", f"must lie between 1 and {MAX_LIMIT}")
    if mode not in ("hybrid", "dense", "keyword"):
        raise _wrong("mode", "must be 'hybrid', 'dense' or 'keyword'")
    # JSON may carry half a surrogate pair, which no encoder takes.
    return query.encode(errors="replace").decode()


def checked(source: str, title: str | None, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata. Raises `Invalid` for what could not be stored."""
    if not 0 < len(source) <= 2000:
        raise _wrong("source", "must hold 1 to 2000 characters")
    for field, value in (("source", source), ("title", title or "")):
        if not value.isprintable():
            raise _wrong(field, "holds characters that cannot be shown")
    try:
        json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise _wrong("metadata", f"must be JSON: {error}") from error
    return dict(metadata or {})


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(f"{field} {message}.", details={"field": field})
