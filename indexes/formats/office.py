"""What Office documents say of themselves."""

from __future__ import annotations

from typing import Any


def properties(core: Any) -> tuple[str, dict[str, Any]]:
    """(the title, "author" and "date" as far as they are given)"""
    metadata = {}
    if author := _clean(core.author):
        metadata["author"] = author
    if written := core.modified or core.created:
        metadata["date"] = written.isoformat()
    return _clean(core.title), metadata


def _clean(text: str | None) -> str:
    return " ".join((text or "").split())
