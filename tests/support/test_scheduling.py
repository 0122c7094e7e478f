"""The double loads, evicts, queues and loses models as the recorded servers did."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.ollama import Ollama
from tests.support.recorded import records, same_wire, shape
from tests.support.script import RUNNER_DIED, Drop, Gate, says

RECORDS = {(record.case, record.step): record for record in records()}
HI = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def client_of(double: Ollama) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=double.url, timeout=120) as client:
        yield client


async def ask(client: httpx.AsyncClient, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": HI, "stream": False, **more}
    return await client.post("/api/chat", json=body)


async def load(client: httpx.AsyncClient, model: str, **more: Any) -> Any:
    answer = await client.post("/api/generate", json={"model": model, **more})
    return answer.json()


async def held(client: httpx.AsyncClient) -> Any:
    return (await client.get("/api/ps")).json()["models"]


async def names(client: httpx.AsyncClient) -> list[str]:
    return [model["name"] for model in await held(client)]


@pytest.fixture
def one_at_a_time(serve_ollama: Callable[..., Ollama], gate: Gate) -> Ollama:
    """Room for one model, a queue of two; `busy` talks until the gate opens."""
    double = serve_ollama(max_loaded=1, max_queue=2, parallel=1)
    double.add("busy", lambda turn: ["Well,", gate, " done."])
    double.add("other", "Yes.")
    return double


async def test_a_model_asked_to_unload_while_it_streams_stays_until_the_stream_ends(
    ollama: Ollama, gate: Gate
) -> None:
    ollama.add("slow", lambda turn: ["la ", gate, "li"])
    async with client_of(ollama) as client:
        stream = asyncio.create_task(ask(client, "slow"))
        await gate.reached.wait()
        before = (await held(client))[0]["expires_at"]
        unloaded = await load(client, "slow", keep_alive=0)
        recorded = RECORDS["unload_while_streaming", "3-unload_request"].response["body"]
        assert shape(unloaded) == shape(recorded)
        listed = await held(client)
        assert [model["name"] for model in listed] == ["slow:latest"]
        assert listed[0]["expires_at"] < before
        gate.open()
        await stream
        assert await held(client) == []


async def test_requests_beyond_the_load_queue_are_refused_without_retry_after(
    one_at_a_time: Ollama, gate: Gate
) -> None:
    async with client_of(one_at_a_time) as client:
        busy = asyncio.create_task(ask(client, "busy"))
        await gate.reached.wait()
        # One is held by the scheduler, two wait in the queue, the rest is refused.
        answers = [asyncio.create_task(ask(client, "other")) for _ in range(7)]
        first = zip(range(4), asyncio.as_completed(answers), strict=False)
        refusals = [await answer for _, answer in first]
        recorded = RECORDS["queue_full_other_model", "client-3"].response
        for refused in refusals:
            assert refused.status_code == recorded["status"]
            assert refused.json() == recorded["body"]
            assert "retry-after" not in refused.headers
        gate.open()
        assert (await busy).status_code == 200
        assert [(await task).status_code for task in answers].count(200) == 3


async def test_a_loaded_model_serves_on_while_another_waits_to_be_loaded(
    serve_ollama: Callable[..., Ollama], gate: Gate
) -> None:
    double = serve_ollama(max_loaded=1, parallel=2)
    double.add("busy", says(["Well,", gate, " done."], "Quick."))
    double.add("other", "Yes.")
    async with client_of(double) as client:
        stream = asyncio.create_task(ask(client, "busy"))
        await gate.reached.wait()
        waiting = asyncio.create_task(ask(client, "other"))
        overtakes = await ask(client, "busy")
        assert overtakes.json()["message"]["content"] == "Quick."
        assert not waiting.done()
        gate.open()
        assert (await waiting).json()["message"]["content"] == "Yes."
        assert (await stream).status_code == 200
        assert await names(client) == ["other:latest"]


async def test_a_waiting_request_whose_client_left_still_evicts(
    one_at_a_time: Ollama, gate: Gate
) -> None:
    async with client_of(one_at_a_time) as client:
        busy = asyncio.create_task(ask(client, "busy"))
        await gate.reached.wait()
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/api/chat", json={"model": "other", "messages": HI}, timeout=0.2)
        await one_at_a_time.requests[-1].left.wait()
        gate.open()
        assert (await busy).status_code == 200
        assert await names(client) == []


async def test_keep_alive_minus_one_is_no_pin_and_ends_in_2319(
    serve_ollama: Callable[..., Ollama],
) -> None:
    double = serve_ollama(max_loaded=2)
    for name in ("a", "b", "c"):
        double.add(name)
    async with client_of(double) as client:
        for name in ("a", "b", "c"):
            await load(client, name, keep_alive=-1)
        assert len(await held(client)) == 2
        ends = [model["expires_at"][:4] for model in await held(client)]
        recorded = RECORDS["keep_alive_minus1_is_no_pin", "6-ps"].response["body"]["models"]
        assert ends == [model["expires_at"][:4] for model in recorded]


async def test_the_shortest_keep_alive_is_evicted_first(
    serve_ollama: Callable[..., Ollama],
) -> None:
    double = serve_ollama(max_loaded=2)
    for name in ("long", "short", "new"):
        double.add(name)
    async with client_of(double) as client:
        await load(client, "short", keep_alive="2m")
        await load(client, "long", keep_alive="20m")
        await load(client, "new")
        assert await names(client) == ["long:latest", "new:latest"]


async def test_another_num_ctx_reloads_the_model(ollama: Ollama) -> None:
    ollama.add("tiny", context_length=2048)
    async with client_of(ollama) as client:
        for sent, seen in (({"num_ctx": 512}, 512), ({}, 2048)):
            await ask(client, "tiny", options=sent)
            assert [model["context_length"] for model in await held(client)] == [seen]


async def test_a_model_goes_when_its_keep_alive_ends(ollama: Ollama) -> None:
    ollama.add("tiny")
    async with client_of(ollama) as client:
        await load(client, "tiny", keep_alive=0.2)
        runner = ollama.runners.listing()[0]
        await runner.gone.wait()
        assert await names(client) == []


async def test_a_client_that_leaves_frees_its_slot(
    serve_ollama: Callable[..., Ollama], gate: Gate
) -> None:
    double = serve_ollama(parallel=1)
    double.add("slow", says(["la ", gate], "Next."))
    async with client_of(double) as client:
        async with client.stream(
            "POST", "/api/chat", json={"model": "slow", "messages": HI}
        ) as stream:
            assert json.loads(await anext(stream.aiter_lines()))["message"]["content"] == "la"
        await gate.abandoned.wait()
        assert (await ask(client, "slow")).json()["message"]["content"] == "Next."


async def test_a_runner_that_dies_mid_stream_ends_it_with_an_error_line_and_stays_listed(
    ollama: Ollama,
) -> None:
    ollama.add("slow", lambda turn: ["la li ", RUNNER_DIED])
    async with client_of(ollama) as client:
        answer = await client.post("/api/chat", json={"model": "slow", "messages": HI})
        lines = [json.loads(line) for line in answer.text.splitlines()]
        case = "runner_killed_mid_stream_chat", "1-stream_killed_after_4_lines"
        assert answer.status_code == RECORDS[case].response["status"]
        assert lines[-1] == RECORDS[case].response["lines"][-1]
        assert await names(client) == ["slow:latest"]
        whole = await ask(client, "slow")
        assert (whole.status_code, whole.json()) == (500, lines[-1])


async def test_v1_hides_a_runner_that_died(ollama: Ollama) -> None:
    ollama.add("slow", lambda turn: ["la li ", RUNNER_DIED])
    async with client_of(ollama) as client:
        answer = await client.post(
            "/v1/chat/completions", json={"model": "slow", "messages": HI, "stream": True}
        )
        last = json.loads(answer.text.split("\n\n")[-2].removeprefix("data: "))
        case = "runner_killed_mid_stream_v1", "1-stream_killed_after_4_lines"
        assert shape(last) == shape(RECORDS[case].response["lines"][-1])
        assert (last["model"], last["choices"][0]["finish_reason"]) == ("", None)
        assert "[DONE]" not in answer.text


async def test_a_dropped_connection_breaks_the_stream(ollama: Ollama) -> None:
    ollama.add("slow", lambda turn: ["la li ", Drop()])
    async with client_of(ollama) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/api/chat", json={"model": "slow", "messages": HI})


async def test_a_stopped_server_refuses_and_comes_back_empty_at_the_same_address(
    ollama: Ollama,
) -> None:
    ollama.add("tiny")
    async with client_of(ollama) as client:
        await load(client, "tiny")
        ollama.stop()
        with pytest.raises(httpx.TransportError):
            await client.get("/api/version")
        ollama.start()
        assert await names(client) == []
        same_wire(
            RECORDS["version.get", ""].response,
            {
                "status": 200,
                "content_type": "application/json; charset=utf-8",
                "body": (await client.get("/api/version")).json(),
            },
        )
