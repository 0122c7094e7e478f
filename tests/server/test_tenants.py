"""What a tenant made is its alone, on every route: who knows an id learns and changes nothing."""

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
from tests.support.media import png
from tests.support.service import AGENTS, error_of, new_thread, run_to_end

BODIES: dict[str, Any] = {
    "search": {"query": "x"},
    "documents": {"text": "x", "source": "y"},
    "calibrate": {},
    "eval": {"questions": [{"question": "x", "answer": "y"}]},
}


CALLS = """
from itertools import count

from tools import tool

calls = count(1)


@tool(repeatable=True)
def count_calls(word: str) -> int:
    "Counts how often it was called."
    return next(calls)
"""
CACHED = """
version: 1
name: cached
description: Remembers what a tool answered.
input: {word: string}
nodes:
  ask: {type: tool, tool: count_calls, arguments: {word: "{{ word }}"}, save: calls, cache: 600}
output: calls
"""


PNG = png("a fox")


async def named(tenant: Annotated[str, Header()]) -> Caller:
    return Caller(tenant)


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    """The application for callers who say whose they are."""
    home = tmp_path_factory.mktemp("home")
    for folder, name, text in (("tools", "calls.py", CALLS), ("agents", "cached.yaml", CACHED)):
        (home / folder).mkdir()
        (home / folder / name).write_text(text)
    for agent in ("asking.py", "quick.py"):
        (home / "agents" / agent).write_text((AGENTS / agent).read_text())
    async with open_services(load_settings(home=home)) as services:
        app = create_app(services)
        app.dependency_overrides[identify_caller] = named
        yield app


def client(app: FastAPI, tenant: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost", headers={"tenant": tenant}
    )


def routes_below(app: FastAPI, prefix: str) -> list[tuple[str, str]]:
    """Every method and path of the application that begins so."""
    return [
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if path.startswith(prefix)
    ]


async def test_no_route_leads_to_an_index_of_another_tenant(app: FastAPI) -> None:
    async with client(app, "acme") as acme, client(app, "other") as other:
        assert (await acme.post("/indexes", json={"name": "plans"})).status_code == 201
        assert (await acme.get("/indexes/plans")).status_code == 200
        assert [each["name"] for each in (await other.get("/indexes")).json()["indexes"]] == []
        body = {"query": "x", "indexes": ["plans"]}
        error_of(await other.post("/search", json=body), 404, "index_not_found")
        routes = routes_below(app, "/indexes/{name}")
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


async def test_no_route_leads_to_a_run_of_another_tenant(app: FastAPI) -> None:
    async with client(app, "acme") as acme, client(app, "other") as other:
        run = await run_to_end(acme, "asking", {"draft": "words"})
        routes = routes_below(app, "/runs/{run_id}")
        assert len(routes) > 5
        for method, path in routes:
            url = path.format(run_id=run["run_id"])
            json = {"answer": "no"} if url.endswith("/resume") else None
            error_of(await other.request(method, url, json=json), 404, "run_not_found")

        assert (await other.get("/runs")).json() == {"runs": []}
        body = {"answer": "yes", "stream": False}
        done = (await acme.post(f"/runs/{run['run_id']}/resume", json=body)).json()
        assert (done["status"], done["output"]["verdict"]) == ("finished", "yes")


async def test_no_route_leads_to_a_thread_of_another_tenant(app: FastAPI) -> None:
    bodies: dict[str, Any] = {
        "state": {"values": {"draft": "theirs"}},
        "checkpoint": {"checkpoint": {"checkpoint_id": "c"}},
    }
    async with client(app, "acme") as acme, client(app, "other") as other:
        thread = await new_thread(acme)
        await run_to_end(acme, "asking", {"draft": "words"}, thread_id=thread)
        before = (await acme.get(f"/threads/{thread}")).json()
        routes = routes_below(app, "/threads/{thread_id}")
        assert len(routes) > 8
        for method, path in routes:
            url = path.format(thread_id=thread, checkpoint_id="c")
            json = bodies.get(path.rpartition("/")[2], {}) if method in ("POST", "PATCH") else None
            error_of(await other.request(method, url, json=json), 404, "thread_not_found")
        for body in ({"input": {"draft": "x"}}, {"input": {"draft": "x"}, "checkpoint_id": "c"}):
            answer = await other.post("/agents/asking/run", json={**body, "thread_id": thread})
            error_of(answer, 404, "thread_not_found")
        answer = await other.post("/agents/asking/run", json={"thread_id": thread, "resume": "no"})
        error_of(answer, 409, "run_not_waiting")

        assert (await other.post("/threads/search", json={"ids": [thread]})).json() == []
        assert (await acme.get(f"/threads/{thread}")).json() == before


async def test_the_id_of_anothers_thread_is_as_free_as_any(app: FastAPI) -> None:
    async with client(app, "acme") as acme, client(app, "other") as other:
        thread = await new_thread(acme)
        await run_to_end(acme, "quick", {"x": 1}, thread_id=thread)

        assert (await other.post("/threads", json={"thread_id": thread})).status_code == 200
        error_of(await acme.post("/threads", json={"thread_id": thread}), 409, "thread_exists")
        await run_to_end(other, "quick", {"x": 5}, thread_id=thread)
        assert (await other.delete(f"/threads/{thread}")).status_code == 204

        assert (await acme.get(f"/threads/{thread}")).json()["values"]["x"] == 4


async def test_the_id_of_anothers_run_makes_a_thread_of_ones_own(app: FastAPI) -> None:
    async with client(app, "acme") as acme, client(app, "other") as other:
        run = await run_to_end(acme, "asking", {"draft": "words"})
        body = {"thread_id": run["run_id"]}
        error_of(await acme.post("/threads", json=body), 409, "thread_names_run")
        assert (await other.post("/threads", json=body)).status_code == 200
        assert (await other.get(f"/threads/{run['run_id']}/state")).json()["values"] == {}
        assert (await other.delete(f"/threads/{run['run_id']}")).status_code == 204

        assert (await acme.get(f"/runs/{run['run_id']}")).json()["status"] == "waiting"


async def test_an_idempotency_key_is_its_tenants_alone(app: FastAPI) -> None:
    runs = []
    for tenant in ("acme", "other", "acme"):
        async with client(app, tenant) as caller:
            headers = {"Idempotency-Key": "k"}
            body = {"input": {"x": 1}, "stream": False}
            answer = await caller.post("/agents/quick/run", json=body, headers=headers)
            runs.append(answer.json()["run_id"])

    assert runs[0] == runs[2] != runs[1]


async def test_a_cached_result_is_its_tenants_alone(app: FastAPI) -> None:
    calls = []
    for tenant in ("acme", "other", "acme", "other"):
        async with client(app, tenant) as caller:
            run = await run_to_end(caller, "cached", {"word": "one"})
            calls.append(run["output"])

    assert calls[0] == calls[2] != calls[1] == calls[3]


async def test_no_route_leads_to_an_artifact_of_another_tenant(app: FastAPI) -> None:
    picture = {"files": {"files": ("a.png", PNG, "image/png")}}
    async with client(app, "acme") as acme, client(app, "Acme") as other:
        made = (await acme.post("/artifacts", **picture)).json()["artifacts"][0]
        for method, path in routes_below(app, "/artifacts/{artifact_id}"):
            url = path.format(artifact_id=made["id"])
            error_of(await other.request(method, url), 404, "artifact_not_found")
        assert (await other.get("/artifacts")).json()["artifacts"] == []

        mine = (await other.post("/artifacts", **picture)).json()["artifacts"][0]
        assert mine["id"] == made["id"]
        assert (await other.delete(f"/artifacts/{mine['id']}")).status_code == 204
        assert (await acme.get(f"/artifacts/{made['id']}")).content == PNG


async def test_what_is_pruned_for_one_tenant_is_kept_for_the_others(app: FastAPI) -> None:
    async with client(app, "acme") as acme, client(app, "other") as other:
        run = await run_to_end(acme, "quick", {"x": 1})
        body = {"runs_days": 0, "threads_days": 0, "artifacts_days": 0, "keys_days": 0}
        assert (await other.post("/prune", json=body)).status_code == 200

        assert (await acme.get(f"/runs/{run['run_id']}")).status_code == 200


async def test_ids_of_anothers_documents_lead_nowhere_in_ones_own_index(app: FastAPI) -> None:
    async with client(app, "first") as first, client(app, "second") as second:
        for each, text in ((first, "The secret word is quibble."), (second, "Nothing here.")):
            assert (await each.post("/indexes", json={"name": "shared"})).status_code == 201
            body = {"text": text, "source": f"{text[-8:]}.md"}
            assert (await each.post("/indexes/shared/documents", json=body)).status_code == 200
        found = (await first.post("/indexes/shared/search", json={"query": "quibble"})).json()
        passage = found["passages"][0]
        ids = {"document": passage["document"], "passage": passage["id"], "ingest": "i"}
        for method, path in routes_below(app, "/indexes/{name}/"):
            if "{" not in path.removeprefix("/indexes/{name}"):
                continue
            params = {"start": 0, "end": 1} if path.endswith("/citation") else {}
            url = path.format(name="shared", **ids)
            answer = await second.request(method, url, params=params)
            assert answer.status_code == 404, (method, path, answer.text)
            assert "quibble" not in answer.text

        filters = {"query": "quibble", "documents": [passage["document"]]}
        assert "quibble" not in (await second.post("/indexes/shared/search", json=filters)).text
        document = await first.get(f"/indexes/shared/documents/{passage['document']}")
        assert "quibble" in document.text
