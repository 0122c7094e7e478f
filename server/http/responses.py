"""Responses that several routes give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from runs.events import dumps


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON of anything that a graph's state may hold."""
    return Response(dumps(value), status, headers, media_type="application/json")
