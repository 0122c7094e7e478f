"""What tests ask of a running service over HTTP, and how they read its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.support.runs.event_check import problems_of
from tests.support.socket_gate import SocketGate

AGENTS = Path(__file__).parent / "agents"
"""Agents in Python and YAML that a test can hold, pace, or ask."""


TIMEOUT = httpx.Timeout(240.0)
"""A busy machine's core may be away for long."""


def open_client(url: str) -> httpx.AsyncClient:
    """A client of a service; it costs little, for it reads no certificates."""
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT, verify=False)


async def read_events(
    response: httpx.Response, until: int | None = None
) -> list[tuple[int, dict[str, Any]]]:
    """(id, data) of a stream's events, to its end or until one has this number.

    A server that dies ends the stream too.
    """
    events: list[tuple[int, dict[str, Any]]] = []
    number = 0
    try:
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                event = orjson.loads(line[6:])
                assert "run_id" not in event or problems_of(event) == []
                events.append((number, event))
                if until is not None and number >= until:
                    break
    except httpx.RemoteProtocolError:
        pass
    return events


def types_of(events: list[tuple[int, dict[str, Any]]]) -> list[str]:
    """The types of events, in order."""
    return [event["type"] for _, event in events]


def error_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error of an answer, which must have this status and code."""
    body = response.json()
    assert (response.status_code, body["error"]["code"]) == (status, code), body
    error: dict[str, Any] = body["error"]
    return error


async def begin_gated_run(client: httpx.AsyncClient, gate: SocketGate, **more: Any) -> str:
    """Start `gated` in the background; its address once it stands at the gate."""
    body = {"input": {"gate": gate.path}, "background": True, **more}
    response = await client.post("/agents/gated/run", json=body)
    assert response.status_code == 202, response.text
    await gate.knocked()
    return response.headers["location"]


async def run_to_end(
    client: httpx.AsyncClient, agent: str, input: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """The run once it has ended or waits."""
    body = {"input": input, "stream": False, **more}
    response = await client.post(f"/agents/{agent}/run", json=body)
    assert response.status_code == 200, response.text
    run: dict[str, Any] = response.json()
    return run


async def new_thread(client: httpx.AsyncClient) -> str:
    thread_id: str = (await client.post("/threads", json={})).json()["thread_id"]
    return thread_id


async def add_documents(client: httpx.AsyncClient, index: str, **request: Any) -> dict[str, Any]:
    """Index something; the report."""
    response = await client.post(f"/indexes/{index}/documents", **request)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


async def search(
    client: httpx.AsyncClient, index: str, query: str, **more: Any
) -> list[dict[str, Any]]:
    response = await client.post(f"/indexes/{index}/search", json={"query": query, **more})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["passages"]
    return found


async def cite(client: httpx.AsyncClient, index: str, passage: dict[str, Any]) -> dict[str, Any]:
    """Open a passage as a citation."""
    span = {key: passage[key] for key in ("start", "end", "hash")}
    path = f"/indexes/{index}/documents/{passage['document']}/citation"
    response = await client.get(path, params=span)
    assert response.status_code == 200, response.text
    cited: dict[str, Any] = response.json()
    return cited


WORDS = 30


def assert_complete(events: list[tuple[int, dict[str, Any]]]) -> None:
    """Every event once and in order; and with half-told attempts dropped, the story is right."""
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert events[-1][1]["type"] == "run.finished"
    attempts: dict[str, int] = {}
    told: dict[str, list[int]] = {}
    ended: list[str] = []
    for _, event in events:
        if event["type"] == "step.started":
            assert event["attempt"] == attempts.get(event["step"], 0) + 1
            attempts[event["step"]] = event["attempt"]
            told[event["node"]] = []
        elif event["type"] == "custom":
            assert event["attempt"] == attempts[event["step"]]
            told[event["data"]["speaker"]].append(event["data"]["number"])
        elif event["type"] == "step.finished":
            ended.append(event["node"])
    assert ended == ["one", "two", "three", "four", "five"]
    assert told["two"] == told["four"] == list(range(WORDS))


SHOUT = """\
version: 1
name: {name}
description: Say it louder.
input:
  text: string
  mark: {{type: string, default: "!"}}
nodes:
  louder:
    type: set
    values:
      answer: "{{{{ text | upper }}}}{{{{ mark }}}}"
output: [answer]
"""


def shouting_agent(name: str) -> str:
    return SHOUT.format(name=name)
