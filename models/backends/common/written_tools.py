"""Tools written into the prompt, for a model whose chat template or server takes none.

Owns when that is so, how a tool and its call are described, and how the calls and results of a
conversation become text; calls in what the model writes are read by `models.output`. Invariants: a
model's `profile` has `tool_calling: False` where its tools are written, whether that was known when
it was loaded or its server has refused tools since; what is written has words of the schema for
values, which are no arguments where a model copies them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    merge_message_runs,
)

from config.errors import MotetError

TOOL_CALLING: Final = "tool_calling"
"""The field of LangChain's `profile` that says whether a model takes tools."""
TOOL_OPTIONS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
"""What binding tools adds to a call."""
INTRODUCTION = (
    "You have tools. To use one, write its call as one line of JSON and nothing else; you are then "
    "given its result. Use them only where they help; otherwise answer in plain words."
)
BETWEEN = "\n\n"
_REFUSES_TOOLS = re.compile(
    r"(?=.*\btools?\b).*(support|requires|enable|not (allow|permit)|unknown|unrecogni|unexpected)",
    re.IGNORECASE | re.DOTALL,
)
_REFUSALS = frozenset({"model_refused", "model_failed", "model_missing", "capability_unsupported"})


def refuses_tools(error: MotetError) -> bool:
    """Tell whether a server says that it, or its model, takes no tools."""
    cause = str(error.details.get("cause") or error.message)
    return error.code in _REFUSALS and bool(_REFUSES_TOOLS.search(cause))


def write_tools(
    messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]]
) -> list[BaseMessage]:
    """Return a conversation in plain messages alone, with the tools in its system message.

    `tools` are declarations in OpenAI's form. Messages of one side that follow each other become
    one: many templates want the sides to alternate.
    """
    plain = [_write_message(each) for each in messages]
    if tools:
        described = [INTRODUCTION, *(_describe(each["function"]) for each in tools)]
        plain = _add_to_system(plain, BETWEEN.join(described))
    return merge_message_runs(plain, chunk_separator=BETWEEN)


def _write_message(message: BaseMessage) -> BaseMessage:
    if isinstance(message, ToolMessage):
        return HumanMessage(f"Result of {message.name or 'the tool'}:\n{message.text}")
    if isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls):
        return AIMessage("\n".join(filter(None, (str(message.text), *_write_calls(message)))))
    return message


def _write_calls(message: AIMessage) -> Iterator[str]:
    for call in message.tool_calls:
        yield _write_call(call["name"], json.dumps(call["args"], ensure_ascii=False, default=str))
    for unreadable in message.invalid_tool_calls:
        yield _write_call(unreadable["name"] or "", unreadable["args"] or "{}")


def _write_call(name: str, arguments: str) -> str:
    return f'{{"name": {json.dumps(name)}, "arguments": {arguments}}}'


def _describe(function: Mapping[str, Any]) -> str:
    """Write what a tool does, the form of its call, and a line for each argument."""
    parameters = function.get("parameters") or {}
    properties: Mapping[str, Any] = parameters.get("properties") or {}
    required = parameters.get("required") or ()
    form = {name: _type_of(properties.get(name)) for name in required}
    lines = [
        f"{function['name']}: {function.get('description') or ''}".rstrip(": "),
        _write_call(str(function["name"]), json.dumps(form)),
        *(_describe_argument(name, part, name in required) for name, part in properties.items()),
    ]
    return "\n".join(lines)


def _describe_argument(name: str, schema: Any, is_required: bool) -> str:
    schema = schema if isinstance(schema, Mapping) else {}
    choices = ", ".join(json.dumps(each, ensure_ascii=False) for each in schema.get("enum") or ())
    about = (
        str(schema.get("description") or ""),
        f"One of {choices}." if choices else "",
        "" if is_required else "May be left out.",
    )
    return f"- {name} ({_type_of(schema)}): {' '.join(filter(None, about))}".rstrip(": ")


def _type_of(schema: Any) -> str:
    """Return the word for a value's type."""
    named = schema.get("type") if isinstance(schema, Mapping) else None
    words = [named] if isinstance(named, str) else named or ()
    return next((str(word) for word in words if word != "null"), "value")


def _add_to_system(messages: list[BaseMessage], text: str) -> list[BaseMessage]:
    first = messages[0] if messages else None
    if isinstance(first, SystemMessage):
        return [SystemMessage(f"{first.text}{BETWEEN}{text}"), *messages[1:]]
    return [SystemMessage(text), *messages]
