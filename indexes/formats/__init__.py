"""Formats: one module for each way to read a document, listed here by media type.

A reader is a function from `documents.Source` to `documents.Parsed`. It is imported only where
documents are read, in a worker.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """A media type, the file endings that stand for it, and its reader as `module:function`."""

    media_type: str
    suffixes: tuple[str, ...]
    reader: str


FORMATS = (
    Format("text/markdown", (".md", ".markdown"), "markdown:read_markdown"),
    Format("text/plain", (".txt", ".text"), "plain:read_plain"),
    Format("text/x-rst", (".rst",), "plain:read_plain"),
    Format("text/html", (".html", ".htm"), "html:read_html"),
    Format("application/xhtml+xml", (".xhtml",), "html:read_html"),
)
BY_TYPE = {format.media_type: format for format in FORMATS}
BY_SUFFIX = {suffix: format for format in FORMATS for suffix in format.suffixes}
