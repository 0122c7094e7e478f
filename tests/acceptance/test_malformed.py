"""Malformed input is refused with its place, leaves nothing behind and breaks nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.acceptance.malformed import CASES, Case
from tests.acceptance.malformed_yaml import HOSTILE, YAML, value
from tests.support.service import shouting_agent

LISTINGS = (
    ("GET", "/agents"),
    ("GET", "/indexes"),
    ("GET", "/indexes/library/documents"),
    ("GET", "/models/pulls"),
    ("GET", "/artifacts"),
    ("GET", "/runs?limit=1000"),
    ("POST", "/threads/search"),
)
REPLACED = ("agent", "index", "document", "thread", "run")


@pytest.fixture(scope="module")
async def things(client: httpx.AsyncClient) -> dict[str, str]:
    """One of each kind, which no refused request may change."""
    await client.post("/agents", json={"yaml": shouting_agent("victim")})
    await client.post("/indexes", json={"name": "library"})
    document = {"text": "# Sky\n\nThe sky is blue by day.", "source": "sky.md"}
    added = await client.post("/indexes/library/documents", json=document)
    thread_id = (await client.post("/threads", json={})).json()["thread_id"]
    body = {"input": {"text": "hi"}, "thread_id": thread_id, "stream": False}
    run = (await client.post("/agents/victim/run", json=body)).json()
    return {
        "agent": "victim",
        "index": "library",
        "document": added.json()["documents"][0],
        "thread": thread_id,
        "run": run["run_id"],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_malformed_request_is_refused(
    case: Case, server: ServerProcess, client: httpx.AsyncClient, things: dict[str, str]
) -> None:
    before = await everything(server, client)
    request = case.request()
    if "json" in request:
        request["json"] = filled(request["json"], things)
    response = await client.request(case.method, filled(case.path, things), **request)
    error = envelope(response)
    assert (response.status_code, error["code"]) == (case.status, case.code), error
    assert error["details"]["field"] == case.field
    assert await everything(server, client) == before


@pytest.mark.parametrize("name", YAML)
async def test_a_malformed_agent_is_refused(
    name: str, server: ServerProcess, client: httpx.AsyncClient, things: dict[str, str]
) -> None:
    yaml, field, line = YAML[name]
    before = await everything(server, client)
    response = await client.post("/agents", json={"yaml": yaml})
    error = envelope(response)
    assert (response.status_code, error["code"]) == (422, "invalid_agent"), error
    places = [(each["field"], each["line"]) for each in error["details"]["problems"]]
    if field.endswith("…"):
        places = [(f"{found[: len(field) - 1]}…", at) for found, at in places]
    assert (field, line) in places
    assert await everything(server, client) == before


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_template_fails_its_run_and_nothing_else(
    name: str, client: httpx.AsyncClient
) -> None:
    agent = name.replace(" ", "-")
    yaml = value(HOSTILE[name]).replace("name: bad", f"name: {agent}\ninput: {{text: string}}")
    made = await client.post("/agents", json={"yaml": yaml})
    if made.status_code == 201:
        body = {"input": {"text": "x"}, "stream": False}
        async with asyncio.timeout(240):
            response = await client.post(f"/agents/{agent}/run", json=body)
    else:
        response = made
    error = envelope(response)
    assert response.status_code == 422, error
    assert error["code"] in ("expression_failed", "invalid_agent")
    await client.delete(f"/agents/{agent}")


async def test_uploaded_file_name_cannot_leave_its_folder(
    server: ServerProcess, client: httpx.AsyncClient, things: dict[str, str]
) -> None:
    files = {"files": ("../../../escaped.md", b"# Out\n\nNowhere to go.")}
    response = await client.post("/indexes/library/documents", files=files)
    assert response.status_code == 200, response.text
    assert not list(server.home.parent.rglob("escaped.md"))
    document = response.json()["documents"][0]
    shown = (await client.get(f"/indexes/library/documents/{document}")).json()
    assert ".." not in shown["source"]
    await client.delete(f"/indexes/library/documents/{document}")


async def test_broken_html_is_read_as_far_as_it_goes(
    client: httpx.AsyncClient, things: dict[str, str]
) -> None:
    broken = b"<html><p>unclosed <b>bold <table><tr><td>cell</p></html"
    files = {"files": ("broken.html", broken, "text/html")}
    response = await client.post("/indexes/library/documents", files=files)
    document = response.json()["documents"][0]
    shown = (await client.get(f"/indexes/library/documents/{document}")).json()
    assert "unclosed bold" in shown["text"]
    await client.delete(f"/indexes/library/documents/{document}")


async def test_nothing_malformed_has_left_a_trace(
    server: ServerProcess, client: httpx.AsyncClient, things: dict[str, str]
) -> None:
    assert (await client.get("/health")).json() == {"status": "ok"}
    assert not Path("/tmp/pwned").exists()
    assert not [file for file in server.home.rglob("*") if file.suffix == ".tmp"]
    body = {"input": {"text": "still here"}, "stream": False}
    response = await client.post("/agents/victim/run", json=body)
    assert response.json()["output"] == {"answer": "STILL HERE!"}


def filled(value: Any, things: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, things) for key, item in value.items()}
    if isinstance(value, str):
        for name in REPLACED:
            value = value.replace(f"{{{name}}}", things[name])
    return value


def envelope(response: httpx.Response) -> dict[str, Any]:
    """The error of an answer, which must be ours and tell no traceback."""
    assert 400 <= response.status_code < 500, response.text
    assert "Traceback" not in response.text
    assert 'File "' not in response.text
    body = response.json()
    assert body["detail"] == body["error"]["message"]
    assert body["error"].keys() >= {"code", "family", "message", "details"}
    error: dict[str, Any] = body["error"]
    return error


async def everything(server: ServerProcess, client: httpx.AsyncClient) -> Any:
    """What the server lists, and the files of its data folder but for those that it derives and
    saves when it pleases."""
    answers = [await client.request(method, path) for method, path in LISTINGS]
    files = {
        str(file.relative_to(server.home))
        for file in server.home.rglob("*")
        if not {"__pycache__", "derived"} & set(file.parts)
    }
    return [answer.json() for answer in answers], files
