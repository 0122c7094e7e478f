"""Renders a book as one HTML file that holds its pictures and sounds, so that it opens anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.book.pages import Book
from tools.references import encode_data_url

NOT_IN_XML = {
    **dict.fromkeys((*range(0x20), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000))),
    **{ord(space): " " for space in "\v\f\x1c\x1d\x1e\x1f"},
    **{ord(space): space for space in "\t\n\r"},
}
"""Characters that no XML may hold, not even escaped (XML 1.0, 2.2), and what stands for them."""
TEMPLATES = Path(__file__).parent / "templates"


def render_page(book: Book) -> bytes:
    """Render the page as UTF-8."""
    return render_template("page.html.j2", book=book).encode()


def render_template(template: str, **values: Any) -> str:
    """Render a template of this package.

    Every value is escaped where it is written, without the characters that XML cannot hold.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: value.translate(NOT_IN_XML) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = lambda medium: encode_data_url(medium.data, medium.media_type)
    environment.filters["clock"] = format_duration
    environment.filters["smil"] = lambda seconds: f"{seconds:.3f}s"
    return environment.get_template(template).render(**values)


def format_duration(seconds: float) -> str:
    """Format a length as `48 s` or `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
