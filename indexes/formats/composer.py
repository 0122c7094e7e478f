"""Composes the text of a document from its parts, for formats whose bytes are no text."""

from __future__ import annotations

from indexes.reading.documents import MAX_TEXT_CHARS, Block, Kind, TooMuchText


class Composer:
    """Parts are added in reading order; `text`, `blocks` and `pages` are then a `ParsedText`'s.

    List items and table rows that follow each other stand on lines of their own, all other parts
    are a blank line apart. Raises `TooMuchText` as soon as the limit is passed.
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._length = 0
        self.blocks: list[Block] = []
        self.pages: list[int] = []

    @property
    def text(self) -> str:
        return "".join(self._text)

    def begin_page(self) -> None:
        """What is added from here on stands on the next page, the first call's on page 1."""
        self.pages.append(self._length)

    def add(self, kind: Kind, text: str, *, level: int = 0) -> None:
        """Add a part; nothing where `text` is white space. A heading has its level, 1 and below."""
        body = text.strip("\r\n").rstrip() if kind == "code" else text.strip()
        if not body.strip():
            return
        if self.blocks:
            tight = kind == self.blocks[-1].kind and kind in ("list", "table")
            self._append("\n" if tight else "\n\n")
        start = self._length + len(body) - len(body.lstrip())
        self._append(body)
        title = " ".join(body.split()) if kind == "heading" else ""
        self.blocks.append(Block(kind, start, self._length, level, title))

    def _append(self, text: str) -> None:
        self._text.append(text)
        self._length += len(text)
        if self._length > MAX_TEXT_CHARS:
            raise TooMuchText
