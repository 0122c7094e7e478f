"""What Word and PowerPoint files have in common: how they open, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeVar

from indexes.reading.content import unreadable_document
from indexes.reading.source import SourceFile

Package = TypeVar("Package")


def open_package(source: SourceFile, open: Callable[[BytesIO], Package], suffix: str) -> Package:
    """Open the document with its library's `open`.

    Raises `Invalid` (`unreadable_document`) for a package whose main part is not a document.
    """
    try:
        return open(BytesIO(source.data))
    except ValueError as error:
        why = "its main part is that of a template, a document with macros, or nothing known"
        raise unreadable_document(source.filename, f"{why}; save it as {suffix}") from error


def read_properties(core: Any) -> tuple[str, dict[str, Any]]:
    """Return the title, and "author" and "date" as far as they are given."""
    metadata = {}
    if author := _collapse_space(core.author):
        metadata["author"] = author
    if written := core.modified or core.created:
        metadata["date"] = written.isoformat()
    return _collapse_space(core.title), metadata


def _collapse_space(text: str | None) -> str:
    return " ".join((text or "").split())
