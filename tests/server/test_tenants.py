"""Indexes belong to the tenant who made them, on every route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header

from config.settings import load_settings
from server.app import create_app
from server.http.access import Caller, identify_caller
from server.services import open_services
from tests.support.service import error_of

BODIES: dict[str, Any] = {
    "search": {"query": "x"},
    "documents": {"text": "x", "source": "y"},
    "calibrate": {},
    "eval": {"questions": [{"question": "x", "answer": "y"}]},
}


async def named(tenant: Annotated[str, Header()]) -> Caller:
    return Caller(tenant)


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    """The application for callers who say whose they are."""
    async with open_services(load_settings(home=tmp_path_factory.mktemp("home"))) as services:
        app = create_app(services)
        app.dependency_overrides[identify_caller] = named
        yield app


def client(app: FastAPI, tenant: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost", headers={"tenant": tenant}
    )


async def test_no_route_leads_to_an_index_of_another_tenant(app: FastAPI) -> None:
    async with client(app, "acme") as acme, client(app, "other") as other:
        assert (await acme.post("/indexes", json={"name": "plans"})).status_code == 201
        assert (await acme.get("/indexes/plans")).status_code == 200
        assert [each["name"] for each in (await other.get("/indexes")).json()["indexes"]] == []
        body = {"query": "x", "indexes": ["plans"]}
        error_of(await other.post("/search", json=body), 404, "index_not_found")
        routes = [
            (method.upper(), path)
            for path, methods in app.openapi()["paths"].items()
            for method in methods
            if path.startswith("/indexes/{name}")
        ]
        assert len(routes) > 15
        for method, path in routes:
            url = path.format(name="plans", document="d", passage="d.0", ingest="i")
            json = BODIES.get(path.rpartition("/")[2]) if method == "POST" else None
            params = {"start": 0, "end": 1} if url.endswith("/citation") else {}
            answer = await other.request(method, url, json=json, params=params)
            error_of(answer, 404, "index_not_found")
        assert (await acme.get("/indexes/plans")).status_code == 200


async def test_two_tenants_may_have_indexes_of_one_name(app: FastAPI) -> None:
    async with client(app, "one") as one, client(app, "two") as two:
        for each, words in ((one, "Ours."), (two, "Theirs.")):
            body = {"name": "notes", "description": words}
            assert (await each.post("/indexes", json=body)).status_code == 201
        assert (await one.delete("/indexes/notes")).status_code == 204
        assert (await two.get("/indexes/notes")).json()["description"] == "Theirs."
        snapshot = await two.get("/indexes/notes/export")
        files = {"file": snapshot.content}
        assert (await one.post("/indexes/import", files=files)).status_code == 201
        assert [each["name"] for each in (await one.get("/indexes")).json()["indexes"]] == ["notes"]
