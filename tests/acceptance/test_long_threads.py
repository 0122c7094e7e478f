"""Conversations that outgrow the context of a real model, in a real worker of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.forked import ForkedServer
from tests.support.service import new_thread, open_client, read_events
from tests.support.tiny.models import made

CONTEXT = 700
"""Tokens, of a model that takes one for each letter: some five turns."""
TURNS = 9
MODELS = """\
version: 1
roles: {{chat: [small]}}
models:
  small:
    task: chat
    backend: transformers
    source: {folder}/babbler
    options: {{context: {context}, max_tokens: 20, temperature: 0, threads: 1}}
"""
AGENT = """\
version: 1
name: talk
input: {message: string}
state: {messages: messages}
nodes:
  hear: {type: set, values: {messages: {role: user, content: "{{ message }}"}}}
  answer:
    type: text
    system: Answer kindly.
    messages: "{{ messages }}"
    save: {messages: message, answer: text}
output: {answer: "{{ answer }}", length: "{{ messages | length }}"}
"""


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    home = tmp_path_factory.mktemp("home")
    folder = await asyncio.to_thread(made, tmp_path_factory.mktemp("models"), "babbler")
    (home / "models.yaml").write_text(MODELS.format(folder=folder, context=CONTEXT))
    (home / "agents").mkdir()
    (home / "agents" / "talk.yaml").write_text(AGENT)
    server = ForkedServer(home, drain_s="1")
    await server.start()
    try:
        async with open_client(server.url) as client:
            yield client
    finally:
        await server.stop()


async def say(client: httpx.AsyncClient, thread: str, message: str) -> list[dict[str, Any]]:
    body = {"input": {"message": message}, "thread_id": thread}
    async with client.stream("POST", "/agents/talk/run", json=body) as stream:
        return [event for _, event in await read_events(stream)]


async def test_a_thread_goes_on_when_it_has_outgrown_the_models_context(
    client: httpx.AsyncClient,
) -> None:
    thread = await new_thread(client)

    runs = [await say(client, thread, f"{n}. {'Count to five. ' * 6}") for n in range(TURNS)]

    assert [run[-1]["type"] for run in runs] == ["run.finished"] * TURNS
    assert runs[-1][-1]["data"]["output"]["length"] == 2 * TURNS
    warned = [
        [event["data"] for event in run if event.get("data", {}).get("code") == "prompt_shortened"]
        for run in (runs[0], runs[-1])
    ]
    assert warned[0] == []
    (shortened,) = warned[1]
    assert shortened["context"] == CONTEXT
    assert 0 < shortened["messages"] < 2 * TURNS - 1


async def test_a_message_longer_than_the_context_fails_and_the_thread_goes_on(
    client: httpx.AsyncClient,
) -> None:
    thread = await new_thread(client)
    await say(client, thread, "Count to five.")

    failed = await say(client, thread, "Count to five. " * 60)
    after = await say(client, thread, "Count to five.")

    error = failed[-1]["data"]["error"]
    assert (failed[-1]["type"], error["code"]) == ("run.failed", "context_overflow")
    assert error["details"]["tokens"] > error["details"]["context"] == CONTEXT
    assert after[-1]["type"] == "run.finished"
