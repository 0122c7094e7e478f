"""Reads e-mail (RFC 5322, MIME): single messages and mailboxes. Attachments are named, not opened.

A mailbox is that of RFC 4155, its lines quoted as `>From`, once more for each `>` (mboxrd). Bodies
that are web pages are `html`'s matter.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import UTC
from email import message_from_bytes, policy
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

from config.errors import Invalid
from indexes.formats.composer import Composer
from indexes.formats.html import read_html
from indexes.reading.content import ParsedText, unreadable_document
from indexes.reading.source import SourceFile, decode, decode_guessing

log = logging.getLogger(__name__)

HEADERS = ("From", "To", "Cc", "Date", "Subject")
"""Those that are written into the text; the rest is for machines."""
MAX_HEADER_CHARS = 4_000
"""Parsing a header's structure takes the square of its length: longer ones are cut."""
ENCODED_WORD_START = "=?"
"""How RFC 2047 begins what is not ASCII in a header."""
MAX_PARTS = 1_000
"""Further parts of a message are neither read nor named."""
SEPARATOR = re.compile(rb"(?:\A|(?<=\n)\r?\n)From [^\n]*\n")
"""The line that begins a message in a mailbox: after a blank line, or at the very beginning."""
ESCAPED_FROM = re.compile(rb"^>(>*From )", re.M)
PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n")
SPACE = re.compile(r"\s+")


def read_mail(source: SourceFile) -> ParsedText:
    """Read who wrote to whom, when and what of, then the text with what it quotes.

    Raises `Invalid` (`unreadable_document`) for what has no header.
    """
    message = _MessageWriter(source.data, source.filename)
    composer = Composer()
    message.write(composer, HEADERS)
    if not message.headers:
        raise _no_mail_error(source.filename)
    return ParsedText(
        composer.text, composer.blocks, message.subject, metadata=message.build_metadata()
    )


def read_mailbox(source: SourceFile) -> ParsedText:
    """Read the messages of a mailbox, each under a heading, its subject.

    Raises `Invalid` (`unreadable_document`) for what holds no message.
    """
    composer = Composer()
    starts = [*SEPARATOR.finditer(source.data)]
    if not starts:
        raise _no_mail_error(source.filename)
    ends = [*(match.start() for match in starts[1:]), len(source.data)]
    for number, (match, end) in enumerate(zip(starts, ends, strict=True), start=1):
        data = ESCAPED_FROM.sub(rb"\1", source.data[match.end() : end])
        message = _MessageWriter(data, source.filename)
        composer.add("heading", message.subject or f"Message {number}", level=1)
        message.write(composer, HEADERS[:-1])
    return ParsedText(composer.text, composer.blocks, metadata={"messages": len(starts)})


def _no_mail_error(filename: str) -> Invalid:
    return unreadable_document(filename, "it holds no e-mail: it has no header such as 'From: ...'")


class _MessageWriter:
    """Writes one e-mail: its headers as text, its body, the names of its attachments."""

    def __init__(self, data: bytes, filename: str) -> None:
        self._filename = filename
        # The structure is read leniently; only what is shown is taken by the letter of the law.
        self._message = message_from_bytes(data)
        decoded = ((name, _decode_header(name, self._message.get(name))) for name in HEADERS)
        self.headers = {name: value for name, value in decoded if value}
        self.subject = self.headers.get("Subject", "")
        self.attachments: list[str] = []

    def build_metadata(self) -> dict[str, Any]:
        """Return the headers by their names in lower case; the date in UTC, attachments by name."""
        about: dict[str, Any] = {name.lower(): value for name, value in self.headers.items()}
        if date := _to_utc(self.headers.get("Date", "")):
            about["date"] = date
        if self.attachments:
            about["attachments"] = self.attachments
        return about

    def write(self, composer: Composer, headers: Sequence[str]) -> None:
        """Add those of `headers` that the message has, then its text."""
        parts = list(self._walk_shown_parts())
        lines = [f"{name}: {self.headers[name]}" for name in headers if name in self.headers]
        if self.attachments:
            lines.append(f"Attachments: {', '.join(self.attachments)}")
        composer.add("paragraph", "\n".join(lines))
        for part in parts:
            if part.get_content_type() == "text/html":
                self._write_page(composer, part)
            else:
                for paragraph in PARAGRAPH_END.split(self._decode_part(part)):
                    composer.add("paragraph", paragraph)

    def _write_page(self, composer: Composer, part: Message) -> None:
        """Add a part that is a web page.

        What a page in a mail calls headings is large type, and heads nothing beyond it.
        """
        data = self._decode_part(part).encode("utf-8", "replace")
        page = read_html(SourceFile(data, self._filename, "text/html", "utf-8"))
        for block in page.blocks:
            kind = "paragraph" if block.kind == "heading" else block.kind
            composer.add(kind, page.text[block.start : block.end])

    def _decode_part(self, part: Message) -> str:
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes):
            return ""
        data = data.replace(b"\0", b"")
        try:
            text = decode(data, self._filename, part.get_content_charset())
        except Invalid:  # many messages are not in what they say they are
            text = self._decode_undeclared(data)
        return text.replace("\r\n", "\n")

    def _decode_undeclared(self, data: bytes) -> str:
        try:
            return decode_guessing(data, self._filename, None)
        except Invalid:
            return data.decode("ascii", "replace")

    def _walk_shown_parts(self) -> Iterator[Message]:
        """Yield the parts that make up the text, of alternatives the plain one; others
        are noted.
        """
        stack = [self._message]
        for _ in range(MAX_PARTS):
            if not stack:
                return
            part = stack.pop()
            kind = part.get_content_type()
            if kind.startswith("multipart/") and part.is_multipart():
                below = _direct_parts(part)
                chosen = [_choose_alternative(below)] if kind == "multipart/alternative" else below
                stack += reversed(chosen)
            elif kind.startswith(("text/", "multipart/")) and not _is_attachment(part):
                yield part
            else:
                self.attachments.append(_attachment_name(part) or kind)


def _decode_header(name: str, raw: object) -> str:
    """Decode a header's value; it stays as it stands where its structure is broken."""
    value = str(raw or "")[:MAX_HEADER_CHARS]
    if ENCODED_WORD_START in value:  # parsing takes long, and does nothing for others
        try:
            value = str(policy.default.header_fetch_parse(name, value))
        except Exception:  # the parser of headers raises whatever it stumbles over
            log.debug("a header '%s' is broken", name)
    return SPACE.sub(" ", value).strip()


def _to_utc(date: str) -> str | None:
    """Convert the date of a header to ISO 8601 in UTC; None where it is none."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def _direct_parts(part: Message) -> list[Message]:
    below = part.get_payload()
    return [each for each in below if isinstance(each, Message)] if isinstance(below, list) else []


def _choose_alternative(parts: list[Message]) -> Message:
    """Choose the plain text, else the page, else whatever comes last.

    The last alternative is the richest one (RFC 2046, 5.1.4).
    """
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.get_content_type() == kind and not _is_attachment(part):
                return part
    return parts[-1]


def _is_attachment(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"


def _attachment_name(part: Message) -> str:
    return _decode_header("Subject", part.get_filename())
