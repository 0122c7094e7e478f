"""E-mail: who, when, what of; the text that was meant to be read; attachments by name."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from config.errors import Invalid
from indexes.reading.documents import read
from tests.support.documents.checks import headings, parts, read_exactly


def letter(body: str = "Hello,\n\n> quoted before\n> and more\n\nbye\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Jürgen Groß <j@example.org>"
    message["To"] = "anna@example.org, ben@example.org"
    message["Date"] = "Fri, 20 Nov 2026 10:00:00 +0100"
    message["Subject"] = "Über die Fähre"
    message.set_content(body)
    return message


def test_a_message_begins_with_its_headers_and_keeps_what_it_quotes() -> None:
    content = read_exactly(letter().as_bytes(), "a.eml")
    assert content.title == "Über die Fähre"
    assert [text for _, text in parts(content)] == [
        "From: Jürgen Groß <j@example.org>\nTo: anna@example.org, ben@example.org\n"
        "Date: Fri, 20 Nov 2026 10:00:00 +0100\nSubject: Über die Fähre",
        "Hello,",
        "> quoted before\n> and more",
        "bye",
    ]
    assert content.metadata == {
        "from": "Jürgen Groß <j@example.org>",
        "to": "anna@example.org, ben@example.org",
        "date": "2026-11-20T09:00:00+00:00",
        "subject": "Über die Fähre",
    }


def test_the_plain_text_is_preferred_to_the_page() -> None:
    message = letter("plain words")
    message.add_alternative("<h1>Page</h1><p>words of a page</p>", subtype="html")
    text = read(message.as_bytes(), "a.eml").text
    assert "plain words" in text
    assert "words of a page" not in text


def test_a_page_alone_is_read_as_a_page() -> None:
    message = letter()
    message.set_content("<style>p{}</style><h1>Large</h1><ul><li>one<li>two</ul>", subtype="html")
    content = read_exactly(message.as_bytes(), "a.eml")
    assert parts(content)[1:] == [("paragraph", "Large"), ("list", "one"), ("list", "two")]


def test_attachments_are_named_and_not_followed() -> None:
    message = letter()
    message.add_attachment(b"%PDF-1.4 secret", "application", "pdf", filename="Tätigkeit.pdf")
    message.add_attachment("secret,2\n", "csv", filename="b.csv")
    message.add_attachment(letter("secret inner words"))
    content = read_exactly(message.as_bytes(), "a.eml")
    assert content.metadata["attachments"] == ["Tätigkeit.pdf", "b.csv", "message/rfc822"]
    assert "Attachments: Tätigkeit.pdf, b.csv" in content.text
    assert "secret" not in content.text


@pytest.mark.parametrize("charset", ["utf-8", "us-ascii", "klingon", "x-unknown"])
def test_a_body_that_is_not_in_the_charset_it_declares_is_read(charset: str) -> None:
    head = f"From: a@b\nContent-Type: text/plain; charset={charset}\n\n"
    assert read(head.encode() + "größer als Straße".encode("cp1252"), "a.eml").text.endswith(
        "größer als Straße"
    )


def test_a_mailbox_has_a_heading_for_each_message() -> None:
    first, second = letter("first body\n\nFrom here on it is quoted\n"), letter("second body")
    del second["Subject"]
    box = b""
    for message in (first, second):
        escaped = message.as_bytes().replace(b"\nFrom here", b"\n>From here")
        box += b"From j@example.org Fri Nov 20 10:00:00 2026\n" + escaped + b"\n"
    content = read_exactly(box, "a.mbox")
    assert headings(content) == [(1, "Über die Fähre"), (1, "Message 2")]
    assert content.metadata == {"messages": 2}
    assert "\n\nFrom here on it is quoted" in content.text
    assert content.text.endswith("second body")


@pytest.mark.parametrize("filename", ["a.eml", "a.mbox"])
def test_file_without_mail_headers_is_refused(filename: str) -> None:
    with pytest.raises(Invalid, match="holds no e-mail"):
        read(b"just some words\n\nand more", filename)
