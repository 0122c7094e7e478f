"""Responses that several routes give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from runs.events import dumps
from runs.pages import Page

NEXT_PAGE = "X-Pagination-Next"
"""The header that clients of LangGraph read too."""


def page_response(page: Page[Any]) -> Response:
    """Answer with the items of a page; a header names where the next one begins."""
    return json_response(page, headers=next_page(page))


def next_page(page: Page[Any]) -> dict[str, str]:
    """Return the header of a page that is not the last."""
    return {NEXT_PAGE: page.next} if page.next else {}


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON of anything that a graph's state may hold."""
    return Response(dumps(value), status, headers, media_type="application/json")
