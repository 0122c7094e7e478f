"""Composes the text of a document from its parts, for formats whose bytes are no text.

Owns the spaces between parts and the offsets of blocks and pages. Invariant: blocks are in order
and cover all that was added.
"""

from __future__ import annotations

from indexes.reading.content import MAX_TEXT_CHARS, Block, Kind, TooMuchText


class Composer:
    """Collects parts in reading order; `text`, `blocks` and `pages` are then a `ParsedText`'s.

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
        """Begin the next page with what is added from here on; the first call begins page 1."""
        self.pages.append(self._length)

    def add(self, kind: Kind, text: str, *, level: int = 0) -> None:
        """Add a part; a `text` of white space alone is left out.

        `level` is that of a heading, 1 and below. White space at the ends goes, but code keeps the
        indentation of its first line.
        """
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
