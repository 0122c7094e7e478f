"""Agents of one's own over HTTP: made, shown, replaced, deleted, and reloaded from their files."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.service import error_of, run_to_end, shouting_agent


async def test_an_agent_is_made_from_yaml_and_runs(client: httpx.AsyncClient) -> None:
    response = await client.post("/agents", json={"yaml": shouting_agent("loud")})
    made = response.json()
    assert response.status_code == 201
    assert made.pop("warnings") == []
    assert (made["name"], made["origin"]) == ("loud", "own")
    assert made["yaml"] == shouting_agent("loud")
    assert made["input_schema"]["required"] == ["text"]
    assert made["output_schema"]["properties"].keys() == {"answer"}
    assert "louder" in made["mermaid"]
    assert (await client.get("/agents/loud")).json() == made
    listed = {agent["name"]: agent for agent in (await client.get("/agents")).json()["agents"]}
    assert listed["loud"]["description"] == "Say it louder."
    picture = await client.get(made["picture"])
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert picture.text.startswith("<svg")
    run = await run_to_end(client, "loud", {"text": "hello"})
    assert run["output"] == {"answer": "HELLO!"}


@pytest.mark.parametrize("media_type", ["application/yaml", "text/yaml"])
async def test_an_agent_is_made_from_a_bare_yaml_body(
    client: httpx.AsyncClient, media_type: str
) -> None:
    name = media_type.replace("/", "-")
    response = await client.post(
        "/agents", content=shouting_agent(name), headers={"Content-Type": media_type}
    )
    assert (response.status_code, response.json()["name"]) == (201, name), response.text


async def test_an_agent_is_replaced_and_its_runs_tell_their_version(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/agents", json={"yaml": shouting_agent("changing")})
    run = await run_to_end(client, "changing", {"text": "a"})
    changed = shouting_agent("changing").replace("upper", "lower")
    response = await client.put("/agents/changing", json={"yaml": changed})
    assert response.status_code == 200, response.text
    again = await run_to_end(client, "changing", {"text": "A"})
    assert (run["output"], again["output"]) == ({"answer": "A!"}, {"answer": "a!"})
    assert run["version"] != again["version"] == response.json()["version"]


async def test_an_earlier_version_is_compared_run_and_brought_back(
    client: httpx.AsyncClient,
) -> None:
    made = (await client.post("/agents", json={"yaml": shouting_agent("turning")})).json()
    changed = shouting_agent("turning").replace("upper", "lower")
    now = (await client.put("/agents/turning", json={"yaml": changed})).json()
    old = f"/agents/turning/versions/{made['version']}"

    listed = (await client.get("/agents/turning/versions")).json()["versions"]
    assert [(each["version"], each["current"]) for each in listed] == [
        (now["version"], True),
        (made["version"], False),
    ]
    diff = (await client.get(f"{old}/diff")).json()["diff"]
    assert [line[0] for line in diff.splitlines() if "{{" in line] == ["-", "+"]
    assert (await client.get(f"{old}/diff", params={"to": made["version"]})).json()["diff"] == ""
    shown = (await client.get(f"/agents/turning@{made['version']}")).json()
    assert shown["yaml"] == shouting_agent("turning")
    assert (await client.get(shown["picture"])).text.startswith("<svg")
    run = await run_to_end(client, f"turning@{made['version']}", {"text": "Hi"})
    assert (run["agent"], run["output"]) == ("turning", {"answer": "HI!"})
    await client.delete("/agents/turning")
    restored = (await client.post(f"{old}/restore")).json()
    assert restored["version"] == made["version"]
    again = await run_to_end(client, "turning", {"text": "Hi"})
    assert again["output"] == {"answer": "HI!"}


async def test_the_files_of_a_python_version_are_shown(client: httpx.AsyncClient) -> None:
    shown = (await client.get("/agents/quick")).json()

    saved = (await client.get(f"/agents/quick/versions/{shown['version']}")).json()

    assert saved["files"] == {"quick.py": shown["python"]}


@pytest.mark.parametrize("rest", ["/versions/0123", "/versions/0123/diff", "@0123"])
async def test_a_version_that_was_not_saved_is_not_found(
    client: httpx.AsyncClient, rest: str
) -> None:
    error_of(await client.get(f"/agents/quick{rest}"), 404, "agent_version_not_found")


async def test_an_agent_is_deleted(client: httpx.AsyncClient) -> None:
    await client.post("/agents", json={"yaml": shouting_agent("doomed")})
    assert (await client.delete("/agents/doomed")).status_code == 204
    error = error_of(await client.get("/agents/doomed"), 404, "agent_not_found")
    assert "doomed" in error["message"]
    error_of(await client.delete("/agents/doomed"), 404, "agent_not_found")


async def test_creating_an_agent_twice_is_a_conflict(client: httpx.AsyncClient) -> None:
    await client.post("/agents", json={"yaml": shouting_agent("once")})
    response = await client.post("/agents", json={"yaml": shouting_agent("once")})
    assert error_of(response, 409, "agent_exists")["details"]["field"] == "name"


async def test_a_python_agent_is_neither_replaced_nor_deleted(client: httpx.AsyncClient) -> None:
    response = await client.put("/agents/quick", json={"yaml": shouting_agent("quick")})
    error_of(response, 409, "agent_read_only")
    error_of(await client.delete("/agents/quick"), 409, "agent_read_only")
    shown = (await client.get("/agents/quick")).json()
    assert (shown["origin"], shown["yaml"]) == ("python", None)
    assert shown["input_schema"]["properties"].keys() == {"x", "log"}


async def test_a_file_put_into_the_folder_becomes_an_agent(
    server: ServerProcess, client: httpx.AsyncClient
) -> None:
    file = server.home / "agents" / "dropped.yaml"
    file.write_text(shouting_agent("dropped"))
    await until(client, lambda found: "dropped" in names(found))
    file.write_text(shouting_agent("dropped").replace('"!"', '"?"'))
    first = (await client.get("/agents/dropped")).json()["version"]
    await until(client, lambda found: names(found).get("dropped") not in (None, first))
    assert (await run_to_end(client, "dropped", {"text": "hm"}))["output"] == {"answer": "HM?"}
    file.unlink()
    await until(client, lambda found: "dropped" not in names(found))


async def test_a_broken_file_keeps_its_last_good_version_and_is_told(
    server: ServerProcess, client: httpx.AsyncClient
) -> None:
    file = server.home / "agents" / "broken.yaml"
    file.write_text(shouting_agent("broken"))
    await until(client, lambda found: "broken" in names(found))
    file.write_text(shouting_agent("broken").replace("type: set", "type: sett"))
    found = await until(client, lambda found: problems(found).get("broken"))
    assert problems(found)["broken"]["details"]["line"] == 9
    assert "set" in problems(found)["broken"]["message"]
    assert (await run_to_end(client, "broken", {"text": "yes"}))["output"] == {"answer": "YES!"}
    file.unlink()
    await until(client, lambda found: "broken" not in names(found))


async def test_input_that_does_not_fit_is_refused_with_its_field(client: httpx.AsyncClient) -> None:
    await client.post("/agents", json={"yaml": shouting_agent("strict")})
    for input, field in (
        ({}, "input.text"),
        ({"text": 1}, "input.text"),
        ({"txt": ""}, "input.txt"),
    ):
        response = await client.post("/agents/strict/run", json={"input": input})
        assert error_of(response, 422, "invalid_input")["details"]["field"] == field


async def until(client: httpx.AsyncClient, holds: Any) -> dict[str, Any]:
    """The list of agents once it is as wished. Nothing tells a client of a reload: it asks."""
    async with asyncio.timeout(240):
        while not holds(found := (await client.get("/agents")).json()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return dict(found)


def names(found: dict[str, Any]) -> dict[str, str]:
    return {agent["name"]: agent["version"] for agent in found["agents"]}


def problems(found: dict[str, Any]) -> dict[str, Any]:
    listed = {}
    for problem in found["problems"]:
        file = str(problem.get("details", {}).get("file", ""))
        listed[file.rpartition("/")[2].removesuffix(".yaml")] = problem
    return listed


async def test_saved_agent_tells_what_it_names_that_is_not_there(
    client: httpx.AsyncClient,
) -> None:
    yaml = (
        "version: 1\nname: missing\nnodes:\n"
        "  a: {type: tool, tool: calclate}\n"
        "  b: {type: text, model: chta, prompt: p}\n"
        "  c: {type: retrieve, index: lost, query: q, save: x}\noutput: x\n"
    )

    made = await client.post("/agents", json={"yaml": yaml})
    replaced = await client.put("/agents/missing", json={"yaml": yaml.replace("calclate", "clock")})

    assert (made.status_code, replaced.status_code) == (201, 200)
    told = [(each["line"], each["field"]) for each in made.json()["warnings"]]
    assert {each["file"] for each in made.json()["warnings"]} == {f"{made.json()['name']}.yaml"}
    assert told == [(4, "nodes.a.tool"), (5, "nodes.b.model"), (6, "nodes.c.index")]
    assert [each["node"] for each in replaced.json()["warnings"]] == ["b", "c"]
    await client.delete("/agents/missing")
