"""The tool `web`: reads a public web page as text.

How a page is fetched safely is `safe_fetch`'s matter. Indexing reads pages by `indexes.formats`,
with structure; here a model is to read what a person would see, cheaply.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from config.errors import Invalid
from tools.responses import FetchedPage
from tools.safe_fetch import FetchLimits, Resolve, fetch
from tools.spec import Tool, ToolContext

MAX_CHARACTERS = 100_000
PARSE_TIMEOUT_S = 30.0
"""For parsing, after the fetch."""
LINE_BREAK = "\x1e"
"""Stands for a line break while white space is collapsed; no text holds it."""
PRE_SPACE = "\xa0"
"""Stands for a space of preformatted text meanwhile."""
UNSEEN_TAGS = ("script", "style", "noscript", "template", "svg", "head", "iframe")
BLOCK_TAGS = (
    *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "footer"),
    *("form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol"),
    *("p", "pre", "section", "table", "tr", "ul"),
)
"""Elements that stand on lines of their own."""


def page_text(page: FetchedPage) -> tuple[str, str]:
    """Return the title and the readable text of a page.

    Blocks while it parses. Raises `Invalid` (`not_text`) for a page that is not made of text.
    """
    if page.media_type in {"text/html", "application/xhtml+xml"}:
        return _read_html(page)
    if page.media_type.startswith("text/") or page.media_type.endswith(("json", "xml", "yaml")):
        return "", _decode(page)
    raise Invalid(
        f"{page.url} is {page.media_type}, not text.",
        code="not_text",
        details={"field": "url", "media_type": page.media_type},
    )


def _decode(page: FetchedPage) -> str:
    try:
        return page.data.decode(page.charset or "utf-8", errors="replace")
    except LookupError:
        return page.data.decode("utf-8", errors="replace")


def _read_html(page: FetchedPage) -> tuple[str, str]:
    # Imported here: the parser is not needed until a page is read.
    from bs4 import BeautifulSoup, UnicodeDammit

    charsets = [page.charset] if page.charset else []
    markup = UnicodeDammit(page.data, charsets, is_html=True).unicode_markup or ""
    if "<" not in markup:
        return "", markup.strip()
    # XHTML is read as HTML too; its XML declaration would make the parser warn.
    soup = BeautifulSoup(re.sub(r"^\s*<\?xml[^>]*>", "", markup), "html.parser")
    title = " ".join(soup.title.get_text(" ").split()) if soup.title else ""
    for element in soup(list(UNSEEN_TAGS)):
        element.decompose()
    for listing in soup("pre"):
        listing.string = listing.get_text().replace(" ", PRE_SPACE).replace("\n", LINE_BREAK)
    for element in soup(list(BLOCK_TAGS)):
        element.insert_before(LINE_BREAK)
        element.append(LINE_BREAK)
    for cell in soup(["td", "th"]):
        cell.append(" ")
    return title, _flow(soup.get_text())


def _flow(text: str) -> str:
    """Collapse the spaces and line ends of HTML; only breaks begin a line."""
    lines = re.sub(r"[ \t\r\n\f]+", " ", text).split(LINE_BREAK)
    flowed = "\n".join(line.strip(" ").replace(PRE_SPACE, " ").rstrip() for line in lines)
    return re.sub(r"\n{3,}", "\n\n", flowed).strip("\n")


PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "http or https.", "maxLength": 4096},
        "max_characters": {
            "type": "integer",
            "minimum": 100,
            "maximum": MAX_CHARACTERS,
            "default": 20_000,
        },
    },
    "required": ["url"],
    "additionalProperties": False,
}


def web_tool(limits: FetchLimits, resolve: Resolve | None = None) -> Tool:
    """Build the tool that reads public web pages; addresses of our own network are refused."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        check = context.check_address
        page = await fetch(arguments["url"], limits, resolve=resolve, check=check)
        # A large page takes seconds to parse: not on the event loop.
        title, text = await asyncio.to_thread(page_text, page)
        max_characters = arguments["max_characters"]
        return {
            "url": page.url,
            "title": title,
            "text": text[:max_characters],
            "truncated": len(text) > max_characters,
        }

    return Tool(
        "web",
        "Fetch a public web page and return its text.",
        PARAMETERS,
        run,
        repeatable=True,
        timeout_s=limits.timeout_s + PARSE_TIMEOUT_S,
        # Pages of one's own network are not for everyone.
        reads="private" if limits.allowed_networks else "public",
        addresses=("url",),
    )
