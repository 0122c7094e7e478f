"""A real model in a `text` node with a schema, and in an `agent` node with one tool.

What a small model knows is not asked for: what it writes must have the form that Motet promises.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from graphs.nodes.raw_answers import find_raw
from tests.real_models.catalog import ModelFile
from tests.real_models.conftest import FindModel
from tests.real_models.serving import serve_model
from tests.support.service import error_of, read_events

SORT = """\
version: 1
name: sort
input:
  letter: string
  max_tokens: {type: integer, default: 80}
nodes:
  sort:
    type: text
    prompt: "Which kind of letter is this, and how urgent is it? {{ letter }}"
    max_tokens: "{{ max_tokens }}"
    repairs: 1
    schema:
      type: object
      properties:
        kind: {enum: [complaint, question, order]}
        urgent: {type: boolean}
      required: [kind, urgent]
      additionalProperties: false
    save: {sorted: parsed, cut: cut}
output: [sorted, cut]
"""
COUNT = """\
version: 1
name: count
input: {question: string}
nodes:
  count:
    type: agent
    system: Use the tool to compute. Then answer in one sentence.
    prompt: "{{ question }}"
    tools: [calculate]
    max_steps: 3
    save: {answer: text, steps: steps, said: messages}
output: [answer, steps, said]
"""
LETTER = "The lamp that I bought last week has broken. Send me a new one today!"
WITHOUT_WORDS = {"too_many_turns", "response_empty", "only_thinking"}
"""Errors of an agent whose model cannot be brought to say anything."""
ARGUMENTS = {"calculate": frozenset({"expression"})}


@pytest.fixture(scope="module")
async def client(
    model: ModelFile, find_model: FindModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    home = tmp_path_factory.mktemp("real")
    (home / "agents").mkdir()
    for name, text in (("sort", SORT), ("count", COUNT)):
        (home / "agents" / f"{name}.yaml").write_text(text)
    async with serve_model(home, find_model(model)) as client:
        yield client


async def test_answer_of_a_schema_fits_it_without_a_repair(client: httpx.AsyncClient) -> None:
    body = {"input": {"letter": LETTER}}

    async with client.stream("POST", "/agents/sort/run", json=body) as response:
        events = [event for _, event in await read_events(response)]

    assert events[-1]["type"] == "run.finished"
    output = events[-1]["data"]["output"]
    assert output["sorted"].keys() == {"kind", "urgent"}
    assert output["sorted"]["kind"] in ("complaint", "question", "order")
    assert isinstance(output["sorted"]["urgent"], bool)
    progress = [each["data"] for each in events if each["type"] == "progress"]
    assert not any("repair" in each for each in progress)


async def test_answer_of_a_schema_that_is_cut_names_its_bound(client: httpx.AsyncClient) -> None:
    body = {"input": {"letter": LETTER, "max_tokens": 4}, "stream": False}

    response = await client.post("/agents/sort/run", json=body)

    error = error_of(response, 503, "structured_output_invalid")
    assert "max_tokens" in error["message"]


@pytest.mark.parametrize("question", ["What is 23 * 19?", "How much are 12 boxes of 144 pens?"])
async def test_agent_with_a_tool_answers_in_words_or_says_that_it_cannot(
    client: httpx.AsyncClient, question: str
) -> None:
    body = {"input": {"question": question}}

    async with client.stream("POST", "/agents/count/run", json=body) as response:
        events = [event for _, event in await read_events(response)]

    calls = [each["data"] for each in events if each["type"] == "tool"]
    begun = [each for each in calls if each["phase"] == "called"]
    assert all(each["arguments"].keys() <= {"expression"} for each in begun)
    assert len(calls) == 2 * len(begun)
    if events[-1]["type"] == "run.failed":
        assert events[-1]["data"]["error"]["code"] in WITHOUT_WORDS
        return
    output = events[-1]["data"]["output"]
    assert output["answer"].strip()
    assert output["said"][-1]["type"] == "ai"
    assert not output["said"][-1].get("tool_calls")
    warnings = {each["data"]["code"] for each in events if each["type"] == "warning"}
    assert "answer_raw" in warnings or not find_raw(output["answer"], _results(output), ARGUMENTS)


def _results(output: dict[str, Any]) -> list[Any]:
    said = [each["content"] for each in output["said"] if each["type"] == "tool"]
    return [json.loads(each) for each in said if each.startswith("{")]
