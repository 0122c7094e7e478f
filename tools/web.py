"""A web page as text."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from config.errors import Invalid
from tools.guard import Fetched, Limits, Resolve, fetch, system_resolve
from tools.spec import Tool, ToolContext

MAX_CHARACTERS = 100_000
UNSEEN = ("script", "style", "noscript", "template", "svg", "head", "iframe")
BLOCKS = (
    *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "footer"),
    *("form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol"),
    *("p", "pre", "section", "table", "tr", "ul"),
)


def page_text(page: Fetched) -> tuple[str, str]:
    """Title and readable text of a page. Raises `Invalid` when it is not made of text."""
    if page.media_type in {"text/html", "application/xhtml+xml"}:
        return _html_text(page)
    if page.media_type.startswith("text/") or page.media_type.endswith(("json", "xml", "yaml")):
        return "", _decoded(page)
    raise Invalid(
        f"{page.url} is {page.media_type}, not text.",
        code="not_text",
        details={"field": "url", "media_type": page.media_type},
    )


def _decoded(page: Fetched) -> str:
    try:
        return page.data.decode(page.charset or "utf-8", errors="replace")
    except LookupError:
        return page.data.decode("utf-8", errors="replace")


def _html_text(page: Fetched) -> tuple[str, str]:
    # Imported here: the parser is not needed until a page is read.
    from bs4 import BeautifulSoup, UnicodeDammit

    markup = UnicodeDammit(page.data, [page.charset] if page.charset else [], is_html=True)
    soup = BeautifulSoup(markup.unicode_markup or "", "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for element in soup(list(UNSEEN)):
        element.decompose()
    for element in soup(list(BLOCKS)):
        element.insert_before("\n")
        element.append("\n")
    for cell in soup(["td", "th"]):
        cell.append("\t")
    lines = (" ".join(line.split()) for line in soup.get_text().splitlines())
    return title, re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def web_tool(limits: Limits, resolve: Resolve = system_resolve) -> Tool:
    """Reads public web pages; addresses of our own network are refused."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        page = await fetch(arguments["url"], limits, resolve=resolve)
        # A large page takes seconds to parse.
        title, text = await asyncio.to_thread(page_text, page)
        most = arguments["max_characters"]
        return {
            "url": page.url,
            "title": title,
            "text": text[:most],
            "truncated": len(text) > most,
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
