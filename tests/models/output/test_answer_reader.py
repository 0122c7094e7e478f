"""Answers in LangChain's chunks: what is text, thinking and call in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from models.output.answer_reader import AnswerReader
from models.output.messages import THINKING, cut_of, finish_message, thinking_of
from tests.models.output.cutting import cuts

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
CALL = json.dumps({"name": "weather", "arguments": {"city": "Paris"}})


def read(
    chunks: list[AIMessageChunk | str], *, reason: str = "stop", **options: Any
) -> tuple[AIMessage, list[AIMessageChunk]]:
    """Return the whole message, and the chunks it came in."""
    reader = AnswerReader(**{"tools": TOOLS, **options})
    out: list[AIMessageChunk] = []
    for chunk in chunks:
        message = AIMessageChunk(content=chunk) if isinstance(chunk, str) else chunk
        out += reader.read(message)
        if reader.kept_chars is not None:
            break
    else:
        last = AIMessageChunk(content="", response_metadata={"finish_reason": reason})
        out += reader.read(last, reason)
    if reader.kept_chars is not None:
        out.append(reader.end_loop())
    whole = out[0]
    for chunk in out[1:]:
        whole += chunk
    message = message_chunk_to_message(whole)
    assert isinstance(message, AIMessage)
    return finish_message(message), out


def called(message: AIMessage) -> list[tuple[str, Any]]:
    return [(call["name"], call["args"]) for call in message.tool_calls]


def thought(text: str) -> AIMessageChunk:
    return AIMessageChunk(content="", additional_kwargs={THINKING: text})


def test_plain_chunks_pass_as_they_are() -> None:
    chunks = [AIMessageChunk(content=text, id="m") for text in ("A ", "boat.")]

    _, out = read(list(chunks))

    assert out[0] is chunks[0]
    assert out[1] is chunks[1]


@pytest.mark.parametrize(
    ("written", "thinking", "text"),
    [
        ("<think>So.</think>\n\nYes.", "So.", "Yes."),
        ("So.</think>\n\nYes.", "So.", "Yes."),
        (
            "<|channel|>analysis<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
            "So.",
            "Yes.",
        ),
    ],
)
def test_thinking_is_beside_the_text(written: str, thinking: str, text: str) -> None:
    for pieces in cuts(written):
        message, _ = read(list(pieces))
        assert (message.content, thinking_of(message)) == (text, thinking), pieces


@pytest.mark.parametrize(
    "chunk",
    [
        thought("So."),
        AIMessageChunk(content=[{"type": "reasoning", "reasoning": "So."}]),
        AIMessageChunk(content=[{"type": "thinking", "thinking": "So."}]),
        AIMessageChunk(
            content=[{"type": "thinking", "thinking": [{"type": "text", "text": "So."}]}]
        ),
        AIMessageChunk(content=[{"type": "reasoning", "summary": [{"text": "So."}]}]),
    ],
)
def test_thinking_that_a_server_set_apart_stays_apart(chunk: AIMessageChunk) -> None:
    message, _ = read([chunk, "Yes."])

    assert (message.content, thinking_of(message)) == ("Yes.", "So.")


def test_blocks_of_text_are_text() -> None:
    blocks = [{"type": "thinking", "thinking": "So."}, {"type": "text", "text": "Yes."}]

    message, _ = read([AIMessageChunk(content=blocks)])

    assert (message.content, thinking_of(message)) == ("Yes.", "So.")


@pytest.mark.parametrize(
    "written", [CALL, f"<tool_call>{CALL}</tool_call>", f"<think>Look.</think>{CALL}"]
)
def test_a_call_in_the_text_is_a_call(written: str) -> None:
    for pieces in cuts(written):
        message, out = read(list(pieces))
        assert (message.content, called(message)) == ("", [("weather", {"city": "Paris"})])
        assert "".join(str(chunk.text) for chunk in out) == ""
        assert message.tool_calls[0]["id"]


def test_without_tools_nothing_is_a_call() -> None:
    message, _ = read([CALL], tools=())

    assert (message.content, message.tool_calls) == (CALL, [])


def test_calls_that_the_server_found_count_alone() -> None:
    native = AIMessageChunk(
        content="",
        tool_call_chunks=[
            {
                "name": "weather",
                "args": '{"city": "Rome"}',
                "id": "c1",
                "index": 0,
                "type": "tool_call_chunk",
            }
        ],
    )

    message, _ = read([CALL, native])

    assert (message.content, called(message)) == ("", [("weather", {"city": "Rome"})])


def test_a_call_that_stayed_within_thinking_is_a_call() -> None:
    message, _ = read([f"<think>I look.\n<tool_call>{CALL}</tool_call>"])

    assert called(message) == [("weather", {"city": "Paris"})]


def test_a_call_written_twice_is_one_call() -> None:
    message, _ = read([f"{CALL}\n", CALL])

    assert called(message) == [("weather", {"city": "Paris"})]


def test_an_answer_that_repeats_one_call_is_stopped_with_that_call() -> None:
    message, out = read(["Look. ", *[f"{CALL}\n"] * 40])

    assert (message.content, called(message)) == ("Look. ", [("weather", {"city": "Paris"})])
    assert cut_of(message) == "repetition"
    assert len(out) < 20


def test_the_beginning_of_another_call_that_was_cut_is_no_text() -> None:
    message, _ = read([f'{CALL}\n{{"name":'], reason="length")

    assert (message.content, called(message)) == ("", [("weather", {"city": "Paris"})])


def test_calls_thought_of_are_no_calls() -> None:
    message, _ = read([f"Maybe {CALL}?</think>Yes."])

    assert (message.content, message.tool_calls) == ("Yes.", [])


def test_a_cut_call_is_invalid() -> None:
    message, _ = read(['{"name": "weather", "arguments": {"city": "Pa'], reason="length")

    assert (message.content, message.tool_calls) == ("", [])
    assert [call["name"] for call in message.invalid_tool_calls] == ["weather"]
    assert cut_of(message) == "length"


@pytest.mark.parametrize(
    ("metadata", "cut"),
    [
        ({"finish_reason": "stop"}, ""),
        ({"finish_reason": "length"}, "length"),
        ({"done_reason": "length"}, "length"),
        ({"stop_reason": "max_tokens"}, "length"),
        ({"finish_reason": "lengthlength"}, "length"),
        ({"finish_reason": "tool_calls"}, ""),
        ({"finish_reason": "repetition"}, "repetition"),
        ({}, ""),
    ],
)
def test_what_cut_an_answer_is_read_in_each_servers_words(
    metadata: dict[str, Any], cut: str
) -> None:
    assert cut_of(AIMessage("Yes.", response_metadata=metadata)) == cut


def test_a_looping_answer_keeps_what_came_before() -> None:
    message, out = read(["Well. ", *["So it is. "] * 200])

    assert message.content == "Well. So it is."
    assert cut_of(message) == "repetition"
    assert len(out) < 100


def test_a_loop_that_a_bound_cuts_short_is_a_loop_with_each_call_once() -> None:
    message, _ = read([f"{CALL}\nWell. ", *["So it is. "] * 25], reason="length")

    assert (message.content, called(message)) == (
        "Well. So it is.",
        [("weather", {"city": "Paris"})],
    )


def test_looping_thought_keeps_the_text_before() -> None:
    message, _ = read(["Well.\n<think>", *["So it is. "] * 200])

    assert message.content == "Well.\n"
    assert cut_of(message) == "repetition"


def test_unopened_thinking_before_a_loop_is_not_kept() -> None:
    message, _ = read(["Hm.", "</think>", "Well. ", *["So it is. "] * 200])

    assert (message.content, thinking_of(message)) == ("Well. So it is.", "Hm.")


def test_what_is_known_to_begin_as_thinking_is_never_shown_as_text() -> None:
    message, out = read(["So.", "</think>", "Yes."], may_be_open=True)

    assert (message.content, thinking_of(message)) == ("Yes.", "So.")
    assert "".join(str(chunk.text) for chunk in out) == "Yes."
