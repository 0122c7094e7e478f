"""Names that are computed from content: of documents, of texts and of passages."""

from __future__ import annotations

import hashlib


def document_id(origin: str, source: str) -> str:
    """Name a document by where it came from, so that new content keeps the id."""
    return hashlib.blake2b(f"{origin}\0{source}".encode(), digest_size=10).hexdigest()


def passage_hash(text: str) -> bytes:
    """Hash a passage; equal passages share their vector."""
    return hashlib.sha256(text.encode()).digest()


def text_hash(text: str) -> str:
    """Hash a document's text, which citations refer to."""
    return hashlib.sha256(text.encode()).hexdigest()
