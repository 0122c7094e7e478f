"""Takes from what a model writes all that a reader's screen would load from elsewhere.

Owns the marks of pictures, of addresses with labels and of HTML in Markdown; which addresses are
allowed is `tools.address_policy`'s. Works on text as it comes: what is put out depends on the text
alone, not on how it was cut. Invariants: where Markdown's readers may differ the mark is taken, and
no more than `MAX_HELD` characters wait for a decision, besides a row of one and the same sign.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.address_policy import AddressPolicy

MAX_HELD = 4096
"""Characters, of a mark that is not decided yet. A longer one is taken for a foreign address."""
_MAX_ADDRESS, _MAX_WORDS, _MAX_FENCE_LINE = 2048, 1000, 300
_MARK = re.compile(r"!+|\]|<|[`~]+|\$+")
_LABEL = r"[^\[\]\\`<\n]"
_PICTURE = re.compile(rf"\[(?:{_LABEL}|\[{_LABEL}{{0,200}}\]){{0,1000}}\]")
"""A picture's words, where every reader sees the same end of them."""
_ENDLESS_WORDS = re.compile(r"[\\`<\n]")
_TARGET = re.compile(r"\(\s{0,200}(<?)([^\s)>]*)")
_DEFINED = re.compile(r"\]:[\s>]{0,200}(<?)([^\s>]*)")
"""The address that a picture or a link names by a label."""
_LEADS_AWAY = re.compile(r"[:/\\&]")
_REWRITTEN = re.compile(r"\\|&#?\w+;")
"""In an address, what Markdown or a browser reads as other signs."""
_OWN_TARGETS = re.compile(r"(?:/artifacts/|artifact:|data:image/)", re.IGNORECASE)
_MAX_TAG = 40
_TAG = re.compile(rf"</?([a-z][a-z0-9-]{{0,{_MAX_TAG}}})", re.IGNORECASE)
_LOADING_TAG = re.compile(
    r"img|image|picture|source|video|audio|track|iframe|frame|object|embed|link|style|svg|script|"
    r"base|meta|input|body|table|td|th|form",
    re.IGNORECASE,
)
_BARE_TAG_ENDS = re.compile(r" ?/?>")
_CODE_BEGINS = re.compile(r"(`{3,20}|~{3,20})([^`~\r\n]{0,200})[\r\n]")
_CODE_ENDS = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*(?:[\r\n]|\Z)")
_MAY_END_CODE = re.compile(r" {0,3}[`~]*[ \t]*")
_LINE_END = re.compile(r"[\r\n]")
_LINE = re.compile(r"[^\r\n]*[\r\n]?")


def link_pictures(text: str, policy: AddressPolicy) -> str:
    """Make links of the pictures in Markdown that a reader's screen would load from elsewhere.

    Pictures of addresses that the policy allows stay, and so does what stands in a block of code.
    """
    filter = PictureFilter(policy)
    return filter.feed(text) + filter.close()


class _Undecided(Exception):
    """What a mark means depends on text that has not come yet."""


@dataclass
class PictureFilter:
    """Does for the pieces of one message what `link_pictures` does for the whole of it."""

    policy: AddressPolicy
    _text: str = ""
    """What has come and was not put out."""
    _complete: bool = False
    _line_begins: bool = True
    _fence: str = ""
    """What the block of code that we are in began with."""
    _trusts_fences: bool = True
    """Whether every reader sees the same blocks of code: not behind HTML, nor where a fence stands
    in a list or a line."""

    def feed(self, piece: str) -> str:
        """Take a piece, and return what of the text is decided."""
        if not self.policy.bounded:
            return piece
        self._text += piece
        return self._take()

    def close(self) -> str:
        """Return what is left at the message's end."""
        self._complete = True
        return self._take()

    def _take(self) -> str:
        decided: list[str] = []
        at = 0
        while at < len(self._text):
            try:
                written, end = self._code(at) if self._fence else self._prose(at)
            except _Undecided:
                break
            decided.append(written)
            self._line_begins = self._text[end - 1] in "\r\n"
            at = end
        self._text = self._text[at:]
        return "".join(decided)

    def _wait(self, begin: int) -> None:
        """Raise `_Undecided` if the text ends within a mark that may still become another."""
        if not self._complete and len(self._text) - begin < MAX_HELD:
            raise _Undecided

    def _code(self, at: int) -> tuple[str, int]:
        """Put out a line of a block of code."""
        line = _LINE.match(self._text, at)
        assert line
        whole = line[0][-1:] in ("\r", "\n")
        if self._line_begins and (whole or _MAY_END_CODE.fullmatch(line[0])):
            if not whole:
                self._wait(at)
            ends = _CODE_ENDS.fullmatch(line[0])
            if ends and ends[1][0] == self._fence[0] and len(ends[1]) >= len(self._fence):
                self._fence = ""
        return line[0], line.end()

    def _prose(self, at: int) -> tuple[str, int]:
        """Put out the text up to the next mark, or decide the mark that stands here."""
        mark = _MARK.search(self._text, at)
        if mark is None:
            return self._text[at:], len(self._text)
        if mark.start() > at:
            return self._text[at : mark.start()], mark.start()
        match mark[0][0]:
            case "!":
                return self._picture(at, mark.end())
            case "]":
                return self._definition(at)
            case "<":
                return self._tag(at)
            case _:
                return self._fence_or_sign(at, mark)

    def _picture(self, at: int, words_at: int) -> tuple[str, int]:
        if words_at == len(self._text) and not self._complete:
            raise _Undecided
        if self._text[words_at : words_at + 1] != "[":
            return self._text[at:words_at], words_at
        words = _PICTURE.match(self._text, words_at)
        if words is None or len(words[0]) > _MAX_WORDS:
            return self._unclosed_picture(at, words_at)
        if words.end() == len(self._text):
            self._wait(at)
        target = _TARGET.match(self._text, words.end())
        if target is None or self._is_allowed(target, at):
            return self._text[at:words_at], words_at
        return "", words_at

    def _unclosed_picture(self, at: int, words_at: int) -> tuple[str, int]:
        """Take the sign, unless it may still be followed by words that end."""
        begun = self._text[words_at : words_at + _MAX_WORDS]
        if len(begun) < _MAX_WORDS and _ENDLESS_WORDS.search(begun) is None:
            self._wait(at)
        return "", words_at

    def _definition(self, at: int) -> tuple[str, int]:
        """Part a label from its colon, unless the address stays."""
        defined = _DEFINED.match(self._text, at)
        if defined is None:
            if at + 1 == len(self._text):
                self._wait(at)
            return "]", at + 1
        allowed = self._is_allowed(defined, at)
        # Behind too many spaces an address may follow that is not seen here.
        hidden = not defined[2] and defined.end() < len(self._text)
        is_long = len(defined[2]) > _MAX_ADDRESS
        leads_away = hidden or is_long or defined[1] or _LEADS_AWAY.search(defined[2])
        return ("]:" if allowed or not leads_away else "] :"), at + 2

    def _is_allowed(self, target: re.Match[str], begin: int) -> bool:
        if target.end() == len(self._text):
            self._wait(begin)
        address, is_long = target[2], len(target[2]) > _MAX_ADDRESS
        if target[1] and (is_long or self._text[target.end() : target.end() + 1] != ">"):
            return False
        if _OWN_TARGETS.match(address):
            return True
        return not is_long and not _REWRITTEN.search(address) and self.policy.allows(address)

    def _tag(self, at: int) -> tuple[str, int]:
        tag = _TAG.match(self._text, at)
        if tag is None:
            if self._text[at : at + 3] in ("<", "</"):
                self._wait(at)
            # Comments and instructions load nothing, and may hide a fence.
            if self._text[at + 1 : at + 2] in ("!", "?"):
                self._trusts_fences = False
            return "<", at + 1
        follows = self._text[tag.end() : tag.end() + 3]
        if follows in ("", " ", "/", " /"):
            self._wait(at)
        is_bare = _BARE_TAG_ENDS.match(follows) or not (follows[:1] == "/" or follows[:1].isspace())
        if not is_bare or _LOADING_TAG.fullmatch(tag[1]) or len(tag[1]) > _MAX_TAG:
            # Any element with attributes may have a style.
            return "&lt;", at + 1
        self._trusts_fences = False
        return "<", at + 1

    def _fence_or_sign(self, at: int, mark: re.Match[str]) -> tuple[str, int]:
        if mark.end() == len(self._text):
            self._wait(at)
        if len(mark[0]) < (2 if mark[0][0] == "$" else 3):
            return mark[0], mark.end()
        if self._line_begins and self._trusts_fences:
            begins = _CODE_BEGINS.match(self._text, at)
            line = self._text[at : at + _MAX_FENCE_LINE]
            if begins is None and len(line) < _MAX_FENCE_LINE and not _LINE_END.search(line):
                self._wait(at)
            if begins:
                self._fence = begins[1]
                return begins[0], begins.end()
        self._trusts_fences = False
        return mark[0], mark.end()
