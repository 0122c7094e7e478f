"""LangChain's messages as chat templates read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from config.errors import Invalid


def conversation(model: str, messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Convert them. Raises `Invalid` (`capability_unsupported`) for anything but text."""
    return [_message(model, message) for message in messages]


def _message(model: str, message: BaseMessage) -> dict[str, Any]:
    content = _text(model, message)
    if isinstance(message, SystemMessage):
        return {"role": "system", "content": content}
    if isinstance(message, HumanMessage):
        return {"role": "user", "content": content}
    if isinstance(message, ToolMessage):
        return {
            "role": "tool",
            "content": content,
            "name": message.name or "",
            "tool_call_id": message.tool_call_id,
        }
    if not isinstance(message, AIMessage):
        raise Invalid(
            f"'{model}' knows no message of type '{message.type}'.", code="capability_unsupported"
        )
    calls = [
        {"type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
        for call in message.tool_calls
    ]
    said: dict[str, Any] = {"role": "assistant", "content": content}
    return {**said, "tool_calls": calls} if calls else said


def _text(model: str, message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    for part in message.content:
        if isinstance(part, dict) and part.get("type") in ("tool_use", "tool_call", "thinking"):
            continue
        if isinstance(part, dict) and part.get("type") != "text":
            raise Invalid(
                f"'{model}' reads text only, and the message has a part of type "
                f"'{part.get('type')}'. Have the picture described first (a `caption` node).",
                code="capability_unsupported",
            )
    return str(message.text)
