"""Conversations: with the official LangGraph client, and in the ways of our own routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import langgraph_sdk.errors
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from benchmarks.server import ServerProcess
from tests.support.service import (
    begin_gated_run,
    error_of,
    new_thread,
    read_events,
    run_to_end,
    types_of,
)
from tests.support.socket_gate import SocketGate


@pytest.fixture
async def sdk(server: ServerProcess) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url) as sdk:
        yield sdk


async def test_the_official_client_makes_finds_and_deletes_threads(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create(metadata={"who": "me"})
    assert thread["status"] == "idle"
    assert (await sdk.threads.get(thread["thread_id"]))["metadata"] == {"who": "me"}
    updated = await sdk.threads.update(thread["thread_id"], metadata={"mood": "good"})
    assert updated["metadata"] == {"who": "me", "mood": "good"}
    named = str(uuid4())
    await sdk.threads.create(thread_id=named, metadata={"who": "me"})
    await sdk.threads.create(thread_id=named, if_exists="do_nothing")
    with pytest.raises(langgraph_sdk.errors.ConflictError):
        await sdk.threads.create(thread_id=named)
    found = await sdk.threads.search(limit=2)
    assert [each["thread_id"] for each in found] == [named, thread["thread_id"]]
    found = await sdk.threads.search(metadata={"mood": "good"})
    assert [each["thread_id"] for each in found] == [thread["thread_id"]]
    await sdk.threads.delete(named)
    with pytest.raises(langgraph_sdk.errors.NotFoundError):
        await sdk.threads.get(named)


async def test_the_official_client_reads_state_and_history(
    sdk: LangGraphClient, client: httpx.AsyncClient
) -> None:
    thread_id = (await sdk.threads.create())["thread_id"]
    empty = await sdk.threads.get_state(thread_id)
    assert (empty["values"], empty["checkpoint"], empty["next"]) == ({}, None, [])
    await run_to_end(client, "quick", {"x": 0}, thread_id=thread_id)
    state: Any = await sdk.threads.get_state(thread_id)
    assert state["values"] == {"x": 3, "log": ["one", "two", "three"]}
    assert state["next"] == []
    history: Any = await sdk.threads.get_history(thread_id)
    assert [each["next"] for each in history] == [
        [],
        ["three"],
        ["two"],
        ["one"],
        ["__start__"],
    ]
    assert history[0]["checkpoint"] == state["checkpoint"]
    assert history[0]["parent_checkpoint"] == history[1]["checkpoint"]
    older: Any = await sdk.threads.get_history(thread_id, limit=1, before=history[1]["checkpoint"])
    assert [each["checkpoint_id"] for each in older] == [history[2]["checkpoint_id"]]
    past: Any = await sdk.threads.get_state(thread_id, checkpoint_id=history[1]["checkpoint_id"])
    assert past["values"]["x"] == 2
    same: Any = await sdk.threads.get_state(thread_id, checkpoint=history[1]["checkpoint"])
    assert same == past
    thread = await sdk.threads.get(thread_id)
    assert (thread["status"], thread["values"]) == ("idle", state["values"])


async def test_the_official_client_sees_what_a_thread_asks(
    sdk: LangGraphClient, client: httpx.AsyncClient
) -> None:
    thread_id = (await sdk.threads.create())["thread_id"]
    await run_to_end(client, "asking", {"draft": "hi"}, thread_id=thread_id)
    thread = await sdk.threads.get(thread_id)
    state: Any = await sdk.threads.get_state(thread_id)
    assert thread["status"] == "interrupted"
    [(task_id, [question])] = thread["interrupts"].items()
    assert question["value"] == {"approve": "HI"}
    assert state["next"] == ["ask"]
    assert [task["id"] for task in state["tasks"]] == [task_id]
    assert state["interrupts"] == [question]


async def test_an_update_of_the_state_is_where_the_next_run_begins(
    sdk: LangGraphClient, client: httpx.AsyncClient
) -> None:
    thread_id = (await sdk.threads.create())["thread_id"]
    await run_to_end(client, "quick", {"x": 0}, thread_id=thread_id)
    written: Any = await sdk.threads.update_state(thread_id, {"x": 100}, as_node="three")
    state: Any = await sdk.threads.get_state(thread_id)
    assert state["checkpoint"] == written["checkpoint"]
    assert (state["values"]["x"], state["next"]) == (100, [])
    run = await run_to_end(client, "quick", {"x": 7}, thread_id=thread_id)
    assert run["output"] == {"x": 10, "log": ["one", "two", "three"] * 2}


async def test_a_question_is_answered_differently_after_its_state_was_updated(
    sdk: LangGraphClient, client: httpx.AsyncClient
) -> None:
    thread_id = (await sdk.threads.create())["thread_id"]
    await run_to_end(client, "asking", {"draft": "hi"}, thread_id=thread_id)
    await sdk.threads.update_state(thread_id, {"draft": "EDITED"}, as_node="write")
    state: Any = await sdk.threads.get_state(thread_id)
    assert state["values"]["draft"] == "EDITED"
    assert state["next"] == ["ask"]
    answered = await start(client, "asking", {"thread_id": thread_id, "resume": {"fine": True}})
    assert answered["output"] == {
        "draft": "EDITED",
        "verdict": {"fine": True},
        "log": ["write", "ask", "close"],
    }


async def test_copied_thread_changes_independently(
    sdk: LangGraphClient, client: httpx.AsyncClient
) -> None:
    thread_id = (await sdk.threads.create(metadata={"who": "me"}))["thread_id"]
    await run_to_end(client, "quick", {"x": 0}, thread_id=thread_id)
    copied: Any = await sdk.threads.copy(thread_id)
    assert copied["thread_id"] != thread_id
    assert copied["values"] == {"x": 3, "log": ["one", "two", "three"]}
    await run_to_end(client, "quick", {"x": 50}, thread_id=copied["thread_id"])
    mine: Any = await sdk.threads.get_state(thread_id)
    other: Any = await sdk.threads.get_state(copied["thread_id"])
    assert (mine["values"]["x"], other["values"]["x"]) == (3, 53)
    assert len(await sdk.threads.get_history(copied["thread_id"], limit=100)) == 10


async def test_a_run_forks_from_a_checkpoint_of_the_history(
    sdk: LangGraphClient, client: httpx.AsyncClient
) -> None:
    thread_id = (await sdk.threads.create())["thread_id"]
    await run_to_end(client, "quick", {"x": 0}, thread_id=thread_id)
    first: Any = await sdk.threads.get_state(thread_id)
    await run_to_end(client, "quick", {"x": 10}, thread_id=thread_id)
    fork = await run_to_end(
        client, "quick", {"x": 20}, thread_id=thread_id, checkpoint_id=first["checkpoint_id"]
    )
    # What the second run wrote is not in the fork; what the first wrote is.
    assert fork["output"] == {"x": 23, "log": ["one", "two", "three"] * 2}
    latest: Any = await sdk.threads.get_state(thread_id)
    assert latest["values"]["x"] == 23


async def test_a_conversation_goes_on_after_a_restart_of_its_client(
    client: httpx.AsyncClient,
) -> None:
    thread_id = str(uuid4())
    more = {"thread_id": thread_id, "if_not_exists": "create"}
    await run_to_end(client, "quick", {"x": 0}, **more)
    run = await run_to_end(client, "quick", {"x": 1}, **more)
    assert run["thread_id"] == thread_id
    assert len(run["output"]["log"]) == 6


async def test_a_second_run_on_a_thread_is_refused_where_it_asks_for_that(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    thread_id = await new_thread(client)
    await begin_gated_run(client, gate, thread_id=thread_id)
    assert (await client.get(f"/threads/{thread_id}")).json()["status"] == "busy"
    error_of(await client.delete(f"/threads/{thread_id}"), 409, "thread_busy")
    body = {"values": {"x": 1}}
    error_of(await client.post(f"/threads/{thread_id}/state", json=body), 409, "thread_busy")
    response = await second(client, gate, thread_id, "reject")
    error = error_of(response, 409, "thread_busy")
    assert error["details"]["field"] == "thread_id"
    assert response.headers["retry-after"] == "1"


async def test_a_second_run_on_a_thread_waits_for_the_first(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    thread_id = await new_thread(client)
    first = await begin_gated_run(client, gate, thread_id=thread_id)
    accepted = await second(client, gate, thread_id, "enqueue")
    assert accepted.json()["status"] == "queued"
    gate.open()
    async with client.stream("GET", f"{accepted.headers['location']}/events") as stream:
        assert types_of(await read_events(stream))[:2] == ["run.queued", "run.started"]
    run = (await client.get(accepted.headers["location"])).json()
    assert run["output"]["log"] == ["before", "hold", "after"] * 2
    assert (await client.get(first)).json()["status"] == "finished"


async def test_queued_run_on_a_thread_can_be_cancelled(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    thread_id = await new_thread(client)
    first = await begin_gated_run(client, gate, thread_id=thread_id)
    queued = (await second(client, gate, thread_id, "enqueue")).headers["location"]
    assert (await client.post(f"{queued}/cancel")).json()["status"] == "cancelled"
    async with client.stream("GET", f"{queued}/events") as stream:
        assert types_of(await read_events(stream)) == ["run.queued", "run.cancelled"]
    gate.open()
    async with client.stream("GET", f"{first}/events") as stream:
        assert types_of(await read_events(stream))[-1] == "run.finished"


async def test_a_second_run_on_a_thread_interrupts_the_first(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    thread_id = await new_thread(client)
    first = await begin_gated_run(client, gate, thread_id=thread_id)
    gate_opened = asyncio.create_task(opened_when_left(gate))
    accepted = await second(client, gate, thread_id, "interrupt")
    await gate_opened
    run = await ended(client, accepted.headers["location"])
    assert (await client.get(first)).json()["status"] == "cancelled"
    # What the first had done stays.
    assert run["output"]["log"] == ["before", "before", "hold", "after"]


async def test_a_second_run_on_a_thread_rolls_the_first_back(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    thread_id = await new_thread(client)
    first = await begin_gated_run(client, gate, thread_id=thread_id)
    gate_opened = asyncio.create_task(opened_when_left(gate))
    accepted = await second(client, gate, thread_id, "rollback")
    await gate_opened
    run = await ended(client, accepted.headers["location"])
    error_of(await client.get(first), 404, "run_not_found")
    assert run["output"]["log"] == ["before", "hold", "after"]


async def second(
    client: httpx.AsyncClient, gate: SocketGate, thread_id: str, strategy: str
) -> httpx.Response:
    body = {
        "input": {"gate": gate.path},
        "thread_id": thread_id,
        "multitask_strategy": strategy,
        "background": True,
    }
    return await client.post("/agents/gated/run", json=body)


async def opened_when_left(gate: SocketGate) -> None:
    await gate.left()
    gate.open()


async def ended(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    async with client.stream("GET", f"{address}/events") as stream:
        await read_events(stream)
    run: dict[str, Any] = (await client.get(address)).json()
    return run


ASKING = """\
version: 1
name: {name}
input: {{text: string}}
nodes:
  ask:
    type: human
    message: Is it good?
    answer: {{good: boolean}}
    save: {{good: good}}
  say: {{type: set, values: {{said: "{{{{ text }}}}: {{{{ good }}}}"}}}}
output: [said]
"""


async def test_a_run_and_its_thread_outlive_their_agent(client: httpx.AsyncClient) -> None:
    made = await client.post("/agents", json={"yaml": ASKING.format(name="mortal")})
    assert made.status_code == 201, made.text
    thread_id = await new_thread(client)
    run = await run_to_end(client, "mortal", {"text": "soup"}, thread_id=thread_id)
    assert run["status"] == "waiting"
    assert (await client.delete("/agents/mortal")).status_code == 204
    shown = await client.get(f"/threads/{thread_id}")
    assert (shown.status_code, shown.json()["status"]) == (200, "interrupted"), shown.text
    listed = (await client.post("/threads/search", json={"limit": 1000})).json()
    assert thread_id in {thread["thread_id"] for thread in listed}
    answer = {"answer": {"good": True}, "stream": False}
    done = (await client.post(f"/runs/{run['run_id']}/resume", json=answer)).json()
    assert done["output"] == {"said": "soup: true"}
    state = (await client.get(f"/threads/{thread_id}/state")).json()
    assert state["values"]["said"] == "soup: true"
    assert (await client.delete(f"/threads/{thread_id}")).status_code == 204


@pytest.mark.parametrize("body", [{}, {"input": None}])
async def test_a_run_from_a_checkpoint_without_input_asks_its_question_again(
    sdk: LangGraphClient, client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    thread_id = await new_thread(client)
    first = await start(client, "asking", {"input": {"draft": "hi"}, "thread_id": thread_id})
    asking: Any = await sdk.threads.get_state(thread_id)
    await client.post(f"/runs/{first['run_id']}/resume", json={"answer": "no", "stream": False})

    more = {"thread_id": thread_id, "checkpoint_id": asking["checkpoint_id"]}
    again = await start(client, "asking", {**body, **more})
    assert [each["value"] for each in again["interrupts"]] == [{"approve": "HI"}]
    answered = await client.post(
        f"/runs/{again['run_id']}/resume", json={"answer": "yes", "stream": False}
    )

    assert answered.json()["output"] == {
        "draft": "HI",
        "verdict": "yes",
        "log": ["write", "ask", "close"],
    }


async def test_an_empty_input_from_a_checkpoint_begins_anew(
    sdk: LangGraphClient, client: httpx.AsyncClient
) -> None:
    thread_id = await new_thread(client)
    await run_to_end(client, "quick", {"x": 0}, thread_id=thread_id)
    past: Any = (await sdk.threads.get_history(thread_id))[1]
    more = {"thread_id": thread_id, "checkpoint_id": past["checkpoint_id"]}

    on = await start(client, "quick", {"input": None, **more})
    anew = await start(client, "quick", {"input": {}, **more})

    assert on["output"]["log"] == ["one", "two", "three"]
    assert anew["output"]["log"] == ["one", "two", "one", "two", "three"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/agents/quick/run", {"input": {"x": 0}, "checkpoint_id": ""}, "checkpoint_id"),
        ("/threads", {"thread_id": ""}, "thread_id"),
        ("/threads/{}/state", {"values": {}, "checkpoint_id": ""}, "checkpoint_id"),
        ("/threads/{}/state", {"values": {}, "checkpoint": {}}, "checkpoint.checkpoint_id"),
        ("/threads/{}/state", {"values": {}, "as_node": ""}, "as_node"),
        ("/threads/{}/history", {"before": {"checkpoint_id": ""}}, "before.checkpoint_id"),
    ],
)
async def test_what_is_empty_is_not_taken_for_absent(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], field: str
) -> None:
    thread_id = await new_thread(client)
    await run_to_end(client, "quick", {"x": 0}, thread_id=thread_id)

    refused = await client.post(path.format(thread_id), json=body)

    assert refused.status_code == 422
    assert refused.json()["error"]["details"]["field"] == field


async def start(client: httpx.AsyncClient, agent: str, body: dict[str, Any]) -> Any:
    """A run, when it has ended or waits."""
    answer = await client.post(f"/agents/{agent}/run", json={**body, "stream": False})
    assert answer.status_code == 200, answer.text
    return answer.json()
