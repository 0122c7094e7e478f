"""What holds for every document, whatever its format."""

from __future__ import annotations

import json

from indexes.reading.content import Content
from indexes.reading.documents import read


def read_exactly(data: bytes, filename: str) -> Content:
    """The content, of which every span and every page is where it says."""
    content = read(data, filename)
    end = 0
    for block in content.blocks:
        text = content.text[block.start : block.end]
        assert block.start >= end
        assert text == text.strip() != ""
        assert block.title == (" ".join(text.split()) if block.kind == "heading" else "")
        end = block.end
    assert list(content.pages) == sorted(content.pages)
    assert all(0 <= page <= len(content.text) for page in content.pages)
    assert json.loads(json.dumps(content.metadata)) == content.metadata
    return content


def parts(content: Content) -> list[tuple[str, str]]:
    return [(block.kind, content.text[block.start : block.end]) for block in content.blocks]


def headings(content: Content) -> list[tuple[int, str]]:
    return [(block.level, block.title) for block in content.blocks if block.kind == "heading"]
