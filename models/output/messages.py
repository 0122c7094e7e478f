"""What is noted on a model's message beside its text: thinking, and how the answer ended.

Thinking is the `reasoning_content` of LangChain's `additional_kwargs`. What is known only when text
has been passed on already stands in `response_metadata`: how many of its first characters were
thinking (`UNOPENED`), and how many are to be kept of one that went round in circles (`KEPT`).
`finish_message` carries both out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage

THINKING = "reasoning_content"
UNOPENED = "unopened_thinking_chars"
KEPT = "kept_chars"
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
    # Joining pieces, LangChain may write a word twice.
    return "length" if reason.startswith(_LENGTH) else ""


def finish_message(message: AIMessage) -> AIMessage:
    """Return a whole message with its thinking apart, and without the rounds of a loop."""
    metadata = dict(message.response_metadata)
    unopened, kept = metadata.pop(UNOPENED, 0), metadata.pop(KEPT, None)
    thinking = thinking_of(message)
    if not unopened and kept is None and isinstance(message.content, str):
        return message
    text = str(message.text)
    extra = {key: item for key, item in message.additional_kwargs.items() if key != THINKING}
    thinking = (text[:unopened] + thinking).strip()
    return message.model_copy(
        update={
            "content": text[unopened:kept],
            "additional_kwargs": {**extra, THINKING: thinking} if thinking else extra,
            "response_metadata": metadata,
        }
    )
