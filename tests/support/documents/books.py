"""Books of words that each occur once, written in every format: where a word belongs is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from html import escape
from io import BytesIO

import docx
import pptx
from hypothesis import strategies as st
from PIL import Image
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

from tests.support.documents.epub import CONTAINER, OPF, PAGE
from tests.support.documents.sheets import ods, xlsx, zipped

STEMS = ("harbour", "größe", "слово", "naïve", "x", "λόγος", "ferry", "été", "🎉z", "שלום")
LATIN = ("harbour", "größe", "ferry", "naïve", "été", "tide")
"""Those that the fonts of every PDF have."""


@dataclass(frozen=True)
class Section:
    """A heading of `level` with the paragraphs below it, up to the next one."""

    level: int
    title: str
    paragraphs: tuple[str, ...]


Book = Sequence[Section]
Path = tuple[str, ...]


def books(
    stems: Sequence[str] = STEMS, levels: int = 2, least: int = 0
) -> st.SearchStrategy[tuple[Section, ...]]:
    """Books of up to 6 sections; `least` is the number of words of the shortest paragraph and, if
    there is one, each section has a paragraph."""
    sizes = st.integers(max(1, least), 70)
    shapes = st.tuples(
        st.integers(1, levels),
        st.integers(1, 4),
        st.lists(sizes, min_size=1 if least else 0, max_size=4),
    )
    return st.builds(
        _book, st.lists(shapes, min_size=1, max_size=6), st.integers(0, 99), st.just(tuple(stems))
    ).filter(lambda book: any(section.paragraphs for section in book))


def _book(
    shapes: list[tuple[int, int, list[int]]], offset: int, stems: tuple[str, ...]
) -> tuple[Section, ...]:
    words = (f"{stems[(n + offset) % len(stems)]}{n}" for n in range(10_000))

    def take(count: int) -> str:
        return " ".join(next(words) for _ in range(count))

    return tuple(
        Section(level if number else 1, take(title), tuple(take(size) + "." for size in sizes))
        for number, (level, title, sizes) in enumerate(shapes)
    )


def paths(book: Book) -> Iterator[Path]:
    """The headings that each section stands below, its own the last."""
    path: list[Section] = []
    for section in book:
        path = [above for above in path if above.level < section.level] + [section]
        yield tuple(each.title for each in path)


def no_paths(book: Book) -> Iterator[Path]:
    return (() for _ in book)


@dataclass(frozen=True)
class Writer:
    """How a book is written in a format, and what of it is to be found again."""

    filename: str
    write: Callable[[Book], bytes]
    paths: Callable[[Book], Iterator[Path]] = paths
    books: st.SearchStrategy[tuple[Section, ...]] = field(default_factory=books)
    pages: bool = False
    """Each section stands on a page of its own."""
    titles: bool = True
    """The titles are part of the text."""
    caption: bool = False
    """What is written is the caption of a picture."""
    examples: int = 40


def text_of(book: Book, heading: Callable[[Section], str]) -> str:
    parts = ((heading(section), *section.paragraphs) for section in book)
    return "\n\n".join(part for each in parts for part in each if part)


def underlined(section: Section) -> str:
    return f"{section.title}\n{'=-'[section.level - 1] * 100}"


def page(book: Book) -> str:
    return "".join(
        f"<h{section.level}>{escape(section.title)}</h{section.level}>"
        + "".join(f"<p>{escape(text)}</p>" for text in section.paragraphs)
        for section in book
    )


def word_file(book: Book) -> bytes:
    document = docx.Document()
    for section in book:
        document.add_heading(section.title, section.level)
        for text in section.paragraphs:
            document.add_paragraph(text)
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def slides(book: Book) -> bytes:
    presentation = pptx.Presentation()
    for section in book:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = section.title
        slide.placeholders[1].text = "\n".join(section.paragraphs)
    out = BytesIO()
    presentation.save(out)
    return out.getvalue()


def pdf(book: Book) -> bytes:
    styles = getSampleStyleSheet()
    story = []
    for section in book:
        story.append(Paragraph(escape(section.title), styles["Heading1"]))
        story += [Paragraph(escape(text), styles["Normal"]) for text in section.paragraphs]
        story.append(PageBreak())
    out = BytesIO()
    SimpleDocTemplate(out).build(story)
    return out.getvalue()


def epub(book: Book) -> bytes:
    """A chapter for each part that begins with a heading of level 1."""
    chapters: list[list[Section]] = []
    for section in book:
        if section.level == 1:
            chapters.append([])
        chapters[-1].append(section)
    kind = 'media-type="application/xhtml+xml"'
    numbers = range(len(chapters))
    items = "".join(f'<item id="c{n}" href="c{n}.xhtml" {kind}/>' for n in numbers)
    spine = "".join(f'<itemref idref="c{n}"/>' for n in numbers)
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": OPF.format(items=items, spine=spine),
            **{f"OEBPS/c{n}.xhtml": PAGE.format(page(chapters[n])) for n in numbers},
        }
    )


def table(book: Book, delimiter: str) -> bytes:
    """A row for each section: its title, its paragraphs."""
    width = max(len(section.paragraphs) for section in book)
    lines = [delimiter.join(["heading", *(f"column{n}" for n in range(width))])]
    for section in book:
        cells = [section.title, *section.paragraphs, *[""] * width]
        lines.append(delimiter.join(cells[: width + 1]))
    return "\n".join(lines).encode()


def sheets(book: Book) -> dict[str, list[list[str]]]:
    """A sheet for each section, a row for each paragraph."""
    return {section.title: [[text] for text in section.paragraphs] for section in book}


def records(book: Book) -> list[dict[str, object]]:
    return [{"title": section.title, "text": " ".join(section.paragraphs)} for section in book]


def letter(subject: str, paragraphs: Sequence[str], charset: str = "utf-8") -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    message.set_content("\n\n".join(paragraphs), charset=charset)
    return message.as_bytes()


def mailbox(book: Book) -> bytes:
    mails = (letter(section.title, section.paragraphs) for section in book)
    return b"\n".join(b"From a@b Fri Nov 20\n" + mail for mail in mails)


def python(book: Book) -> bytes:
    """A class for each section of level 1, a method for each below it."""
    lines: list[str] = []
    for number, section in enumerate(book):
        indent = "    " * (section.level - 1)
        kind = "class" if section.level == 1 else "def"
        arguments = "()" if kind == "def" else ""
        lines.append(f"{indent}{kind} name{number}{arguments}:  # {section.title}")
        lines += [f"{indent}    '{text}'\n" for text in section.paragraphs or ("",)]
    return "\n".join(lines).encode()


def python_paths(book: Book) -> Iterator[Path]:
    outer = ""
    for number, section in enumerate(book):
        if section.level == 1:
            outer = f"name{number}"
            yield (outer,)
        else:
            yield (outer, f"{outer}.name{number}")


def picture(_: Book) -> bytes:
    out = BytesIO()
    Image.new("RGB", (4, 3)).save(out, "PNG")
    return out.getvalue()


def flat(section: Section) -> str:
    return section.title


HTML = "<!doctype html><meta charset=utf-8><body>"
PROSE = books(levels=1, least=20)
WRITERS = (
    Writer("a.md", lambda book: text_of(book, lambda s: f"{'#' * s.level} {s.title}").encode()),
    Writer("a.rst", lambda book: text_of(book, underlined).encode()),
    Writer("a.txt", lambda book: text_of(book, flat).encode("utf-16"), no_paths),
    Writer("a.log", lambda book: text_of(book, flat).encode(), no_paths),
    Writer("a.html", lambda book: (HTML + page(book)).encode()),
    Writer("a.xhtml", lambda book: PAGE.format(page(book)).encode()),
    Writer("a.docx", word_file, examples=15),
    Writer("a.pptx", slides, books=books(levels=1), pages=True, examples=10),
    Writer("a.pdf", pdf, books=books(LATIN, levels=1, least=20), pages=True, examples=15),
    Writer("a.epub", epub),
    Writer("a.csv", lambda book: table(book, ","), no_paths),
    Writer("a.tsv", lambda book: table(book, "\t"), no_paths),
    Writer("a.xlsx", lambda book: xlsx(sheets(book)), books=PROSE),
    Writer("a.ods", lambda book: ods(sheets(book)), books=PROSE),
    Writer("a.json", lambda book: json.dumps(records(book)).encode(), books=PROSE),
    Writer("a.jsonl", lambda book: "\n".join(map(json.dumps, records(book))).encode(), books=PROSE),
    Writer(
        "a.eml",
        lambda book: letter("s", [text for each in book for text in each.paragraphs]),
        no_paths,
        titles=False,
    ),
    Writer("a.mbox", mailbox, books=books(levels=1)),
    Writer("a.py", python, python_paths, books=books(least=1)),
    Writer("a.sql", lambda book: text_of(book, lambda s: f"-- {s.title}").encode(), no_paths),
    Writer("a.png", picture, no_paths, caption=True),
)
