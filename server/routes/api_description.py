"""Routes of the API's description: for programs, and as a page."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from server.http.api_page import api_page
from server.http.responses import json_response

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def show_openapi(request: Request) -> Response:
    """Describe the API in the format of OpenAPI."""
    return json_response(await asyncio.to_thread(request.app.openapi))


@router.get("/docs")
async def show_page(request: Request) -> Response:
    """Describe the API as a page."""
    return await asyncio.to_thread(lambda: api_page(request.app.openapi()))
