"""A web page as text."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from config.errors import Invalid
from tools.responses import FetchedPage
from tools.safe_fetch import FetchLimits, Resolve, fetch, system_resolve
from tools.spec import Tool, ToolContext

MAX_CHARACTERS = 100_000
LINE_BREAK = "\x1e"
PRE_SPACE = "\xa0"
UNSEEN_TAGS = ("script", "style", "noscript", "template", "svg", "head", "iframe")
BLOCK_TAGS = (
    *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "footer"),
    *("form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol"),
    *("p", "pre", "section", "table", "tr", "ul"),
)


def page_text(page: FetchedPage) -> tuple[str, str]:
    """Title and readable text of a page. Raises `Invalid` when it is not made of text."""
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
    """Spaces and line ends of HTML mean one space; only breaks begin a line."""
    lines = re.sub(r"[ \t\r\n\f]+", " ", text).split(LINE_BREAK)
    flowed = "\n".join(line.strip(" ").replace(PRE_SPACE, " ").rstrip() for line in lines)
    return re.sub(r"\n{3,}", "\n\n", flowed).strip("\n")


def web_tool(limits: FetchLimits, resolve: Resolve = system_resolve) -> Tool:
    """Reads public web pages; addresses of our own network are refused."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        page = await fetch(arguments["url"], limits, resolve=resolve)
        # A large page takes seconds to parse.
        title, text = await asyncio.to_thread(page_text, page)
        max_characters = arguments["max_characters"]
        return {
            "url": page.url,
            "title": title,
            "text": text[:max_characters],
            "truncated": len(text) > max_characters,
        }

    return Tool(
        name="web",
        description="Fetch a public web page and return its text.",
        parameters={
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
        },
        run=run,
        repeatable=True,
        timeout_s=limits.timeout_s + 30,
    )
