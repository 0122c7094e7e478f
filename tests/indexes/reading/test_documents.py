"""Reading: structure, titles, encodings, and clear refusals."""

from __future__ import annotations

import pytest

from config.errors import Invalid
from indexes.reading.documents import is_supported, read

PAGE = b"""<!doctype html><html><head><title>Page title</title><style>p {}</style></head><body>
<nav>Navigation</nav><div role="navigation">Menu</div><script>alert(1)</script>
<main><h1>Heading <em>one</em><a class="headerlink">#</a></h1>
Lead   text.<p>First<br>paragraph &amp; more.</p>
<ul><li>item one</li><li>item two<p>with a paragraph</p></li></ul>
<pre>def f():
    return 1
</pre>
<table><tr><th>Name</th><th>Value</th></tr><tr><td>a</td><td><p>1</p></td></tr></table>
</main></body></html>"""


def test_html_keeps_headings_paragraphs_lists_code_and_tables() -> None:
    content = read(PAGE, "page.html")
    found = [(block.kind, content.text[block.start : block.end]) for block in content.blocks]
    assert found == [
        ("heading", "Heading one"),
        ("paragraph", "Lead text."),
        ("paragraph", "First paragraph & more."),
        ("list", "item one"),
        ("list", "item two"),
        ("paragraph", "with a paragraph"),
        ("code", "def f():\n    return 1"),
        ("table", "Name | Value"),
        ("table", "a | 1"),
    ]


def test_html_drops_scripts_styles_and_navigation() -> None:
    text = read(PAGE, "page.html").text
    assert not any(word in text for word in ("Navigation", "Menu", "alert", "Page title", "#"))


def test_html_without_a_heading_is_titled_by_its_page() -> None:
    page = b"<title>The page</title><p>text"
    assert read(page, "a.html").title == "The page"


def test_markdown_spans_refer_to_the_source_with_its_markup() -> None:
    source = "---\ntitle: Named\n---\n# A *b* `c`\r\n\r\nText with **bold**.\r\n\r\n- item\r\n"
    content = read(source.encode(), "a.md")
    assert content.text == source
    assert content.title == "Named"
    assert [block.title for block in content.blocks if block.kind == "heading"] == ["A b c"]
    assert [source[block.start : block.end] for block in content.blocks[1:]] == [
        "Text with **bold**.",
        "- item",
    ]


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("# First\n\n# Second\n", "First"),
        ("no heading here", "notes.md"),
        ("---\ntitle: [a, b]\n---\ntext", "notes.md"),
    ],
)
def test_a_title_is_the_first_heading_else_the_filename(source: str, title: str) -> None:
    assert read(source.encode(), "folder/notes.md").title == title


def test_restructured_text_headings_nest_by_the_order_of_their_styles() -> None:
    source = (
        "=====\nTitle\n=====\n\nIntro\n\nPart\n----\ntext at once\n\nInner\n~~~~~\n\nPart 2\n------"
    )
    content = read(source.encode(), "a.rst")
    headings = [(b.title, b.level) for b in content.blocks if b.kind == "heading"]
    assert headings == [("Title", 1), ("Part", 2), ("Inner", 3), ("Part 2", 2)]


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        ("größer".encode(), None),
        ("größer".encode("utf-8-sig"), None),
        ("größer".encode("utf-16"), None),
        ("größer".encode("latin-1"), "text/plain; charset=iso-8859-1"),
    ],
)
def test_text_is_decoded_by_mark_or_declaration_else_as_utf8(
    data: bytes, media_type: str | None
) -> None:
    assert read(data, "a.txt", media_type).text == "größer"


def test_html_is_decoded_as_it_declares_itself() -> None:
    page = '<meta charset="iso-8859-1"><p>größer'.encode("latin-1")
    assert read(page, "a.html").text == "größer"


@pytest.mark.parametrize(
    ("data", "filename", "media_type", "why"),
    [
        (b"", "a.md", None, "no text"),
        (b" \n\t ", "a.txt", None, "no text"),
        (b"<script>x</script>", "a.html", None, "no text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "a.txt", None, "binary"),
        (b"ab\xff\xfecd", "a.md", None, "valid utf-8 at byte 2"),
        (b"\xff\xfea", "a.txt", None, "valid utf-16"),
        (b"text", "a.txt", "text/plain; charset=klingon", "klingon"),
        (b"text", "a.txt", "text/plain; charset=hex", "hex"),
        (b'<meta charset="martian"><p>x\xff', "a.html", None, "martian"),
    ],
)
def test_broken_binary_and_empty_input_is_refused_by_name(
    data: bytes, filename: str, media_type: str | None, why: str
) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        read(data, filename, media_type)
    assert caught.value.code == "unreadable_document"
    assert caught.value.details["file"] == filename


@pytest.mark.parametrize(
    ("filename", "media_type"), [("a.exe", None), ("a", None), ("a.md", "video/mp4")]
)
def test_unknown_type_is_refused_with_the_nearest_suffix(
    filename: str, media_type: str | None
) -> None:
    with pytest.raises(Invalid) as caught:
        read(b"text", filename, media_type)
    assert caught.value.code == "unsupported_document"


def test_a_declared_media_type_decides_over_the_filename() -> None:
    assert read(b"<p>x</p>", "page.php", "text/html; charset=utf-8").text == "x"
    assert read(b"# x", "a.md", "application/octet-stream").media_type == "text/markdown"


def test_hostile_nesting_is_read_or_refused() -> None:
    depth = 50_000
    deep = b"<div>" * depth + b"core" + b"</div>" * depth
    assert read(deep, "a.html").text == "core"
    assert read(b"> " * depth + b"core", "a.md").text.endswith("core")
    assert read(b"[" * depth, "a.md").text


def test_suffix_tells_whether_a_file_is_supported() -> None:
    assert is_supported("A.MD")
    assert not is_supported("archive.zip")
    assert not is_supported("README")
