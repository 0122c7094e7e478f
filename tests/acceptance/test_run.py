"""Running an agent over HTTP: a stream, an answer, or an address to come back to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from benchmarks.server import ServerProcess
from tests.support.service import (
    begin_gated_run,
    error_of,
    new_thread,
    open_client,
    read_events,
    run_to_end,
    types_of,
)
from tests.support.socket_gate import SocketGate

QUICK = {"x": 3, "log": ["one", "two", "three"]}
QUICK_EVENTS = ["run.started", *["step.started", "step.finished"] * 3, "run.finished"]


async def test_streaming_is_the_default(client: httpx.AsyncClient) -> None:
    async with client.stream("POST", "/agents/quick/run", json={"input": {"x": 0}}) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        run_id = stream.headers["content-location"].removeprefix("/runs/")
        assert stream.headers["location"] == f"/runs/{run_id}/events"
        events = await read_events(stream)
    assert types_of(events) == QUICK_EVENTS
    assert [number for number, _ in events] == list(range(1, 9))
    assert all(event["run_id"] == run_id and event["seq"] == n for n, event in events)
    assert events[-1][1]["data"]["output"] == QUICK


async def test_curl_prints_events_while_the_run_is_held(
    server: ServerProcess, gate: SocketGate
) -> None:
    curl = await asyncio.create_subprocess_exec(
        *("curl", "-sN", "-X", "POST", f"{server.url}/agents/gated/run"),
        *("-H", "content-type: application/json"),
        *("-d", orjson.dumps({"input": {"gate": gate.path}})),
        stdout=asyncio.subprocess.PIPE,
    )
    assert curl.stdout
    told = b""
    while b'"waiting"' not in told:  # the word said before the gate arrives while it is closed
        line = await asyncio.wait_for(curl.stdout.readline(), 240)
        assert line, told
        told += line
    assert b"event: run.started" in told
    assert b"through" not in told
    gate.open()
    rest, _ = await asyncio.wait_for(curl.communicate(), 240)
    assert b'"through"' in rest
    assert b"event: run.finished" in rest
    assert curl.returncode == 0


async def test_stream_false_answers_with_the_final_output(client: httpx.AsyncClient) -> None:
    response = await client.post("/agents/quick/run", json={"input": {"x": 0}, "stream": False})
    run = response.json()
    assert response.status_code == 200
    assert response.headers["content-location"] == f"/runs/{run['run_id']}"
    assert (run["status"], run["output"]) == ("finished", QUICK)


async def test_accepting_json_answers_with_the_final_output(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/agents/quick/run",
        json={"input": {"x": 0}},
        headers={"Accept": "application/json"},
    )
    assert response.headers["content-type"] == "application/json"
    assert response.json()["output"] == QUICK


async def test_accepting_json_among_others_answers_with_it_too(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/agents/quick/run",
        json={"input": {"x": 0}},
        headers={"Accept": "application/vnd.motet+json;q=0.5, application/json"},
    )
    assert response.headers["content-type"] == "application/json"


async def test_a_background_run_is_accepted_with_its_address(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    response = await client.post(
        "/agents/gated/run", json={"input": {"gate": gate.path}, "background": True}
    )
    address = response.headers["location"]
    assert response.status_code == 202
    assert response.json()["status"] == "running"
    await gate.knocked()
    assert (await client.get(address)).json()["status"] == "running"
    gate.open()
    async with client.stream("GET", f"{address}/events") as stream:
        assert types_of(await read_events(stream))[-1] == "run.finished"
    assert (await client.get(address)).json()["output"]["x"] == 3


async def test_a_reader_that_comes_back_has_every_event_once(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    address = await begin_gated_run(client, gate)
    async with client.stream("GET", f"{address}/events") as stream:
        first = await read_events(stream, until=2)
    async with client.stream("GET", f"{address}/events", headers={"Last-Event-ID": "2"}) as stream:
        gate.open()
        rest = await read_events(stream)
    numbers = [number for number, _ in [*first, *rest]]
    assert numbers == list(range(1, len(numbers) + 1))
    async with client.stream("GET", f"{address}/events", params={"after": 2}) as stream:
        assert await read_events(stream) == rest


async def test_events_come_as_json_pages(client: httpx.AsyncClient) -> None:
    run = await run_to_end(client, "quick", {"x": 0})
    path = f"/runs/{run['run_id']}/events"
    seen: list[int] = []
    after = 0
    while True:
        response = await client.get(
            path, params={"after": after, "limit": 3}, headers={"Accept": "application/json"}
        )
        page = response.json()
        if not page["events"]:
            break
        assert len(page["events"]) <= 3
        seen += [event["seq"] for event in page["events"]]
        after = page["next"]
    assert seen == list(range(1, 9))
    assert page["ended"] is True


async def test_a_silent_stream_is_kept_awake_by_comments(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    async with client.stream(
        "POST", "/agents/gated/run", json={"input": {"gate": gate.path}}
    ) as stream:
        lines = stream.aiter_lines()
        beats = 0
        async with asyncio.timeout(240):
            while beats < 2:
                beats += (await anext(lines)).startswith(":")
        gate.open()
        rest = [line async for line in lines]
    assert "event: run.finished" in rest


async def test_cancel_ends_a_run_that_is_at_work(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    address = await begin_gated_run(client, gate)
    response = await client.post(f"{address}/cancel")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    await gate.left()
    async with client.stream("GET", f"{address}/events") as stream:
        events = await read_events(stream)
    assert events[-1][1]["type"] == "run.cancelled"
    assert events[-1][1]["data"] == {"reason": "requested"}


async def test_the_client_that_leaves_cancels_its_streamed_run(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    async with client.stream(
        "POST", "/agents/gated/run", json={"input": {"gate": gate.path}}
    ) as stream:
        address = stream.headers["content-location"]
        await gate.knocked()
    await gate.left()
    async with client.stream("GET", f"{address}/events") as stream:
        last = (await read_events(stream))[-1][1]
    assert (last["type"], last["data"]) == ("run.cancelled", {"reason": "client_disconnected"})


async def test_the_client_that_leaves_a_waited_for_run_cancels_it(
    server: ServerProcess, client: httpx.AsyncClient, gate: SocketGate
) -> None:
    body = {"input": {"gate": gate.path}, "stream": False, "metadata": {"who": gate.path}}
    async with open_client(server.url) as leaving:
        request = asyncio.create_task(leaving.post("/agents/gated/run", json=body))
        await gate.knocked()
        request.cancel()
        await asyncio.wait([request])
    await gate.left()
    runs = (await client.get("/runs", params={"agent": "gated"})).json()["runs"]
    run = next(run for run in runs if run["metadata"] == body["metadata"])
    async with client.stream("GET", f"/runs/{run['run_id']}/events") as stream:
        assert types_of(await read_events(stream))[-1] == "run.cancelled"


async def test_the_client_that_leaves_may_let_the_run_continue(
    client: httpx.AsyncClient, gate: SocketGate
) -> None:
    body = {"input": {"gate": gate.path}, "on_disconnect": "continue"}
    async with client.stream("POST", "/agents/gated/run", json=body) as stream:
        address = stream.headers["content-location"]
        await gate.knocked()
    gate.open()
    async with client.stream("GET", f"{address}/events") as stream:
        assert types_of(await read_events(stream))[-1] == "run.finished"


async def test_a_waiting_run_goes_on_when_it_is_resumed(client: httpx.AsyncClient) -> None:
    async with client.stream(
        "POST", "/agents/asking/run", json={"input": {"draft": "hello"}}
    ) as stream:
        address = stream.headers["content-location"]
        events = await read_events(stream)
    last = events[-1][1]
    assert last["type"] == "run.waiting"
    assert [item["value"] for item in last["data"]["interrupts"]] == [{"approve": "HELLO"}]
    waiting = (await client.get(address)).json()
    assert (waiting["status"], waiting["output"]) == ("waiting", None)
    async with client.stream("POST", f"{address}/resume", json={"answer": {"ok": True}}) as stream:
        rest = await read_events(stream)
    assert [number for number, _ in [*events, *rest]] == list(range(1, len(events + rest) + 1))
    run = (await client.get(address)).json()
    assert run["status"] == "finished"
    assert run["output"] == {
        "draft": "HELLO",
        "verdict": {"ok": True},
        "log": ["write", "ask", "close"],
    }


async def test_a_run_is_resumed_through_its_thread(client: httpx.AsyncClient) -> None:
    thread_id = await new_thread(client)
    body = {"input": {"draft": "hi"}, "thread_id": thread_id, "stream": False}
    waiting = (await client.post("/agents/asking/run", json=body)).json()
    assert waiting["status"] == "waiting"
    body = {"thread_id": thread_id, "resume": "fine", "stream": False}
    run = (await client.post("/agents/asking/run", json=body)).json()
    assert run["run_id"] == waiting["run_id"]
    assert (run["status"], run["output"]["verdict"]) == ("finished", "fine")


async def test_a_resume_may_be_in_the_background(client: httpx.AsyncClient) -> None:
    run = await run_to_end(client, "asking", {"draft": "hi"})
    address = f"/runs/{run['run_id']}"
    response = await client.post(f"{address}/resume", json={"answer": 1, "background": True})
    assert (response.status_code, response.headers["location"]) == (202, address)
    async with client.stream("GET", f"{address}/events") as stream:
        assert types_of(await read_events(stream))[-1] == "run.finished"


async def test_a_waiting_run_can_be_cancelled(client: httpx.AsyncClient) -> None:
    run = await run_to_end(client, "asking", {"draft": "hi"})
    response = await client.post(f"/runs/{run['run_id']}/cancel")
    assert response.json()["status"] == "cancelled"
    response = await client.post(f"/runs/{run['run_id']}/resume", json={"answer": 1})
    error_of(response, 409, "run_not_waiting")


async def test_one_idempotency_key_is_one_run(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "the-only-one"}
    body = {"input": {"x": 5}, "stream": False}
    responses = await asyncio.gather(
        *(client.post("/agents/quick/run", json=body, headers=key) for _ in range(5))
    )
    runs = [response.json() for response in responses]
    assert len({run["run_id"] for run in runs}) == 1
    assert all(run["output"]["x"] == 8 for run in runs)
    async with client.stream(
        "POST", "/agents/quick/run", json={"input": {"x": 5}}, headers=key
    ) as s:
        assert types_of(await read_events(s)) == QUICK_EVENTS
    other = await client.post("/agents/quick/run", json={"input": {"x": 6}}, headers=key)
    assert error_of(other, 409, "idempotency_key_reused")["details"]["field"] == "Idempotency-Key"


async def test_a_failed_run_tells_its_error_in_every_way(client: httpx.AsyncClient) -> None:
    async with client.stream(
        "POST", "/agents/gated/run", json={"input": {"gate": "/nowhere/at/all"}}
    ) as stream:
        address = stream.headers["content-location"]
        events = await read_events(stream)
    assert types_of(events)[-2:] == ["step.failed", "run.failed"]
    error = events[-1][1]["data"]["error"]
    assert error["code"] == "step_failed"
    assert "Traceback" not in str(events)
    run = (await client.get(address)).json()
    assert (run["status"], run["error"]) == ("failed", error)
    body = {"input": {"gate": "/nowhere/at/all"}, "stream": False}
    response = await client.post("/agents/gated/run", json=body)
    assert response.status_code == 500
    assert response.json()["error"] == error
    assert response.json()["run"]["status"] == "failed"


@pytest.mark.parametrize("url", ["", " ", "hook", "https://", "//host/secret", "ftp://h/secret"])
async def test_webhook_that_is_no_url_is_refused_in_words(
    client: httpx.AsyncClient, url: str
) -> None:
    answer = await client.post("/agents/three/run", json={"input": {"x": 0}, "webhook": url})

    message = answer.json()["error"]["message"]
    assert answer.status_code == 422
    assert "URL" in message
    assert "None" not in message
    assert "secret" not in message
    assert message.count("://") <= 1


async def test_a_webhook_is_told_of_the_end(client: httpx.AsyncClient) -> None:
    async with receiver() as (url, told):
        body = {"input": {"x": 0}, "background": True, "webhook": url}
        accepted = (await client.post("/agents/quick/run", json=body)).json()
        run = await asyncio.wait_for(told.get(), 240)
        again = await client.post(f"/runs/{run['run_id']}/webhook")
        assert (await asyncio.wait_for(told.get(), 240))["run_id"] == run["run_id"]
    assert run["run_id"] == accepted["run_id"]
    assert (run["status"], run["output"]) == ("finished", QUICK)
    assert again.status_code == 202
    shown = (await client.get(f"/runs/{run['run_id']}")).json()["webhook"]
    assert shown["to"] == url.removesuffix("/hook")


async def test_a_run_and_an_artifact_are_deleted_on_request(client: httpx.AsyncClient) -> None:
    run = (await client.post("/agents/quick/run", json={"input": {"x": 0}, "stream": False})).json()
    uploaded = await client.post("/artifacts", json={"data": "data:text/plain,words"})
    artifact = f"/artifacts/{uploaded.json()['artifacts'][0]['id']}"
    counted = await client.post("/prune", json={"runs_days": 0, "dry_run": True})

    deleted = [await client.delete(path) for path in (f"/runs/{run['run_id']}", artifact)]

    assert counted.json()["runs"] >= 1
    assert [response.status_code for response in deleted] == [204, 204]
    assert (await client.get(f"/runs/{run['run_id']}")).status_code == 404
    assert (await client.get(artifact)).status_code == 404


async def test_runs_are_listed_by_agent_thread_and_status(client: httpx.AsyncClient) -> None:
    thread_id = await new_thread(client)
    for x in (1, 2):
        await run_to_end(client, "quick", {"x": x}, thread_id=thread_id)
    found = (await client.get("/runs", params={"thread_id": thread_id})).json()["runs"]
    assert [run["input"]["x"] for run in found] == [2, 1]
    assert all(run["thread_id"] == thread_id for run in found)
    params = {"thread_id": thread_id, "status": "failed"}
    assert (await client.get("/runs", params=params)).json() == {"runs": []}
    params = {"thread_id": thread_id, "limit": "1"}
    first = await client.get("/runs", params=params)
    params["before"] = first.headers["X-Pagination-Next"]
    rest = await client.get("/runs", params=params)
    assert [*first.json()["runs"], *rest.json()["runs"]] == found
    assert "X-Pagination-Next" not in rest.headers


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, asyncio.Queue[dict[str, Any]]]]:
    """An HTTP server on loopback that takes JSON."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = orjson.loads(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        told.put_nowait(body)

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", told
    finally:
        server.close()


async def test_an_answer_sent_again_with_its_key_is_given_once(client: httpx.AsyncClient) -> None:
    run = await run_to_end(client, "asking", {"draft": "hi"})
    key = {"Idempotency-Key": f"answer of {run['run_id']}"}

    first, again = [
        await client.post(f"/runs/{run['run_id']}/resume", json={"answer": "yes"}, headers=key)
        for _ in range(2)
    ]

    assert (first.status_code, first.text) == (200, again.text)


async def test_an_answer_sent_again_to_a_thread_is_given_once(client: httpx.AsyncClient) -> None:
    thread_id = await new_thread(client)
    body = {"input": {"draft": "hi"}, "thread_id": thread_id, "stream": False}
    waiting = (await client.post("/agents/asking/run", json=body)).json()
    body = {"thread_id": thread_id, "resume": "fine", "stream": False}

    runs = [
        await client.post("/agents/asking/run", json=body, headers={"Idempotency-Key": thread_id})
        for _ in range(2)
    ]

    assert [run.json()["run_id"] for run in runs] == [waiting["run_id"]] * 2
    assert [run.json()["status"] for run in runs] == ["finished"] * 2
