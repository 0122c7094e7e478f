"""What language models write, as a run's readers get it: over HTTP, from a server's own wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.forked import ForkedServer
from tests.support.ollama import Ollama
from tests.support.script import Reply, Thinking, Turn
from tests.support.service import open_client, read_events

MODELS = """\
version: 1
models:
  by_openai:
    task: chat
    backend: openai
    source: thinker
    options: {{base_url: "{url}/v1"}}
"""
SAY = """\
version: 1
name: say
description: Answer.
input: {question: string, model: string}
nodes:
  answer:
    type: text
    model: "{{ model }}"
    prompt: "{{ question }}"
    on_cut: trim
    save: {text: text, thinking: thinking, cut: cut}
output: [text, thinking, cut]
"""
WORK = """\
version: 1
name: work
description: Answer with tools.
input: {question: string, model: string}
nodes:
  work:
    type: agent
    model: "{{ model }}"
    prompt: "{{ question }}"
    tools: [calculate, clock]
    max_steps: 2
    save: {answer: text, steps: steps, thinking: thinking}
output: [answer, steps, thinking]
"""
CALL = '{"name": "calculate", "arguments": {"expression": "6 * 7"}}'


def answer(turn: Turn) -> Reply:
    """Answer each question in another of the ways that small models have."""
    results = [str(each["content"]) for each in turn.messages if each["role"] == "tool"]
    match turn.messages[0]["content"].split()[-1]:
        case "field":
            return [Thinking("It is asked."), "Yes."]
        case "tags":
            return "<think>\nIt is asked.\n</think>\n\nYes."
        case "lone":
            return "It is asked.\n</think>\n\nYes."
        case "empty":
            return "<think>It is asked.</think>"
        case "circles":
            return "Well. " + "So it is. " * 200
        case "call":
            return "It is 42." if results else f"<think>So.</think>I compute: {{{CALL}}}"
        case "wrong":
            wrong = '{"name": "calculate", "arguments": {"expression": "six times seven"}}'
            return wrong if turn.tools else "I cannot compute it."
        case _:
            return CALL  # whatever it is asked


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    home: Path = tmp_path_factory.mktemp("answers")
    ollama = Ollama()
    ollama.start()
    ollama.add("thinker", answer, capabilities=("completion", "tools", "thinking"))
    (home / "models.yaml").write_text(MODELS.format(url=ollama.url))
    (home / "agents").mkdir()
    for name, text in (("say", SAY), ("work", WORK)):
        (home / "agents" / f"{name}.yaml").write_text(text)
    server = ForkedServer(home, drain_s="1", ollama_url=ollama.url)
    await server.start()
    async with open_client(server.url) as client:
        yield client
    await server.stop()
    ollama.stop()


@pytest.fixture(params=["ollama/thinker", "by_openai"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def events_of(
    client: httpx.AsyncClient, agent: str, question: str, model: str
) -> list[dict[str, Any]]:
    body = {"input": {"question": question, "model": model}}
    async with client.stream("POST", f"/agents/{agent}/run", json=body) as response:
        return [event for _, event in await read_events(response)]


async def stream(
    client: httpx.AsyncClient, agent: str, question: str, model: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the output of a run that ends well, and its events."""
    events = await events_of(client, agent, question, model)
    assert events[-1]["type"] == "run.finished", events[-1]
    return events[-1]["data"]["output"], events


def text_of(events: list[dict[str, Any]], kind: str) -> str:
    return "".join(event["data"]["text"] for event in events if event["type"] == kind)


def codes_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["code"] for event in events if event["type"] == "warning"]


@pytest.mark.parametrize("question", ["field", "tags"])
async def test_thinking_is_an_event_and_a_part_of_its_own(
    client: httpx.AsyncClient, model: str, question: str
) -> None:
    output, events = await stream(client, "say", question, model)

    assert output == {"text": "Yes.", "thinking": "It is asked.", "cut": ""}
    assert text_of(events, "token") == "Yes."
    assert text_of(events, "thinking").strip() == "It is asked."


async def test_a_lone_closing_tag_parts_the_answer_from_its_thinking(
    client: httpx.AsyncClient, model: str
) -> None:
    for _ in range(2):  # the second time it is expected
        output, events = await stream(client, "say", "lone", model)
        assert output == {"text": "Yes.", "thinking": "It is asked.", "cut": ""}

    assert text_of(events, "token") == "Yes."


async def test_an_answer_of_thinking_alone_fails_with_its_code(
    client: httpx.AsyncClient, model: str
) -> None:
    events = await events_of(client, "say", "empty", model)

    assert events[-1]["type"] == "run.failed"
    assert events[-1]["data"]["error"]["code"] == "only_thinking"


async def test_an_answer_that_goes_round_in_circles_is_stopped(
    client: httpx.AsyncClient, model: str
) -> None:
    output, events = await stream(client, "say", "circles", model)

    assert (output["text"], output["cut"]) == ("Well. So it is.", "repetition")
    assert codes_of(events) == ["response_repeating"]


async def test_a_call_in_the_text_is_carried_out(client: httpx.AsyncClient, model: str) -> None:
    output, events = await stream(client, "work", "call", model)

    assert output == {"answer": "It is 42.", "steps": 1, "thinking": "So."}
    assert text_of(events, "token") == "I compute: It is 42."
    tools = [event["data"] for event in events if event["type"] == "tool"]
    assert [(each["phase"], each["tool"]) for each in tools] == [
        ("called", "calculate"),
        ("returned", "calculate"),
    ]


async def test_a_wrong_call_that_is_repeated_ends_the_tools(
    client: httpx.AsyncClient, model: str
) -> None:
    output, events = await stream(client, "work", "wrong", model)

    assert output["answer"] == "I cannot compute it."
    assert codes_of(events) == ["tool_call_repeated"]


async def test_a_model_that_only_calls_fails_and_shows_no_call(
    client: httpx.AsyncClient, model: str
) -> None:
    events = await events_of(client, "work", "always", model)

    assert events[-1]["data"]["error"]["code"] == "too_many_turns"
    assert codes_of(events) == ["tool_call_repeated"]
    assert text_of(events, "token") == ""
