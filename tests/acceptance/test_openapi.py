"""The service describes itself, with examples that work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
async def openapi(client: httpx.AsyncClient) -> dict[str, Any]:
    described: dict[str, Any] = (await client.get("/openapi.json")).json()
    return described


def operations(openapi: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method in METHODS & methods.keys():
            yield path, method, methods[method]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


async def test_every_route_says_what_it_does(openapi: dict[str, Any]) -> None:
    found = {(path, method) for path, method, _ in operations(openapi)}
    for path, method in (
        ("/agents", "get"),
        ("/agents", "post"),
        ("/agents/{name}", "put"),
        ("/agents/{name}/run", "post"),
        ("/runs/{run_id}/events", "get"),
        ("/runs/{run_id}/resume", "post"),
        ("/threads/{thread_id}/state", "post"),
        ("/indexes/{name}/documents", "post"),
        ("/models", "get"),
        ("/artifacts", "post"),
        ("/artifacts/{artifact_id}", "get"),
        ("/models/{name}/load", "post"),
        ("/models/events", "get"),
        ("/health", "get"),
        ("/ready", "get"),
    ):
        assert (path, method) in found
    assert [place[:2] for place in operations(openapi) if not place[2].get("description")] == []
    names = [operation["operationId"] for _, _, operation in operations(openapi)]
    assert len(names) == len(set(names))


async def test_every_reference_leads_somewhere(openapi: dict[str, Any]) -> None:
    for reference in references(openapi):
        here: Any = openapi
        for part in reference.removeprefix("#/").split("/"):
            here = here[part]


async def test_bodies_come_with_examples(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    run = openapi["paths"]["/agents/{name}/run"]["post"]["requestBody"]["content"]
    assert run["application/json"]["schema"]["examples"]
    for name in ("ResumeBody", "ThreadBody", "StateUpdate", "WaitBody", "PullBody"):
        assert schemas[name]["examples"]
    run = openapi["paths"]["/agents/{name}/run"]["post"]["responses"]
    assert run["200"]["content"].keys() >= {"text/event-stream", "application/json"}
    assert "202" in run


async def test_the_example_of_an_agent_can_be_made(
    client: httpx.AsyncClient, openapi: dict[str, Any]
) -> None:
    accepted = openapi["paths"]["/agents"]["post"]["requestBody"]["content"]
    yaml = accepted["application/yaml"]["example"]
    made = await client.post("/agents", content=yaml, headers={"Content-Type": "application/yaml"})
    assert made.status_code == 201, made.text
    assert accepted["application/json"]["schema"]["examples"] == [{"yaml": yaml}]
    assert (await client.delete(f"/agents/{made.json()['name']}")).status_code == 204
