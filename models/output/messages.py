"""What is noted on a model's message beside its text: thinking, and how the answer ended.

Thinking is the `reasoning_content` of LangChain's `additional_kwargs`. What is known only when text
has been passed on already stands in `response_metadata`: how many of its first characters were
thinking (`UNOPENED_CHARS`), and how many are to be kept of a text that went round in circles
(`KEPT_CHARS`). `finish_message` carries both out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    message_chunk_to_message,
)
from langchain_core.messages.tool import invalid_tool_call

THINKING = "reasoning_content"
UNOPENED_CHARS = "unopened_thinking_chars"
KEPT_CHARS = "kept_chars"
REPETITION = "repetition"
"""The `finish_reason` of an answer that went round in circles."""
Cut = Literal["", "length", "repetition"]
"""Why an answer is not whole; empty where it is."""
_LENGTH = ("length", "max_tokens", "model_length", "max_output_tokens")
"""How servers say that an answer reached its bound of tokens."""
_REASON_FIELDS = ("finish_reason", "done_reason", "stop_reason")


def thinking_of(message: BaseMessage) -> str:
    """Return what a message, or a piece of one, holds of thinking, in all forms of LangChain's."""
    noted = message.additional_kwargs.get(THINKING)
    if isinstance(noted, str):
        return noted
    blocks = message.content if isinstance(message.content, list) else ()
    return "".join(_thinking_in(block) for block in blocks if isinstance(block, dict))


def _thinking_in(block: Mapping[str, Any]) -> str:
    if block.get("type") not in ("reasoning", "thinking"):
        return ""
    value = block.get("reasoning") or block.get("thinking") or block.get("summary") or ""
    parts = value if isinstance(value, list) else [value]
    return "".join(
        str(part.get("text") or "") if isinstance(part, dict) else str(part) for part in parts
    )


def finish_reason(metadata: Mapping[str, Any]) -> str:
    """Return why an answer ended, in its server's word; empty where nothing says that it has."""
    return next((str(metadata[key]) for key in _REASON_FIELDS if metadata.get(key)), "")


def cut_of(message: BaseMessage) -> Cut:
    """Tell whether an answer was cut, and why."""
    reason = finish_reason(message.response_metadata)
    if REPETITION in reason:
        return "repetition"
    return "length" if is_length(reason) else ""


def is_length(reason: str) -> bool:
    """Tell whether an answer ended at a bound of tokens."""
    return reason.startswith(_LENGTH)  # joining pieces, LangChain may write a word twice


def join_chunks(chunks: Sequence[BaseMessage]) -> AIMessage:
    """Return the message that came in these pieces. A call that was cut within is invalid."""
    if not chunks:
        return AIMessage("")
    first, *others = chunks
    if not isinstance(first, AIMessageChunk):  # of a model that does not stream
        return first if isinstance(first, AIMessage) else AIMessage(first.content)
    whole = cast(AIMessageChunk, first + others)  # all at once: one by one, each copies the text
    message = cast(AIMessage, message_chunk_to_message(whole))
    return _without_cut_calls(message, whole) if cut_of(message) else message


def _without_cut_calls(message: AIMessage, whole: AIMessageChunk) -> AIMessage:
    """Take out the calls whose arguments break off: LangChain completes those as it thinks fit."""
    cut = {each["id"]: each for each in whole.tool_call_chunks if not _is_json(each["args"])}
    invalid = [
        invalid_tool_call(name=each["name"], args=each["args"], id=id_, error="it was cut off")
        for id_, each in cut.items()
    ]
    return message.model_copy(
        update={
            "tool_calls": [call for call in message.tool_calls if call["id"] not in cut],
            "invalid_tool_calls": invalid,
        }
    )


def _is_json(text: str | None) -> bool:
    try:
        return isinstance(json.loads(text or "{}"), dict)
    except (ValueError, RecursionError):
        return False


def finish_message(message: AIMessage) -> AIMessage:
    """Return a whole message with its thinking apart, and without the rounds of a loop."""
    metadata = dict(message.response_metadata)
    begin, end = metadata.pop(UNOPENED_CHARS, 0), metadata.pop(KEPT_CHARS, None)
    thinking = thinking_of(message)
    if not begin and end is None and isinstance(message.content, str):
        return message
    text = str(message.text)
    extra = {key: item for key, item in message.additional_kwargs.items() if key != THINKING}
    thinking = (text[:begin] + thinking).strip()
    return message.model_copy(
        update={
            "content": text[begin:end],
            "additional_kwargs": {**extra, THINKING: thinking} if thinking else extra,
            "response_metadata": metadata,
        }
    )
