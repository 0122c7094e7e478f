"""The application has its routes ready before a request needs them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from server.http.application import Application

router = APIRouter()


@router.get("/things")
async def list_things() -> dict[str, str]:
    return {}


async def test_first_request_builds_no_routes_that_were_prepared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Application()
    app.include_router(router)
    app.prepare_routes()
    inspected, signature = [], inspect.signature

    def note(call: Callable[..., Any], **options: Any) -> inspect.Signature:
        inspected.append(call)
        return signature(call, **options)

    monkeypatch.setattr(inspect, "signature", note)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://motet") as client:
        assert (await client.get("/things")).json() == {}

    assert list_things not in inspected
