"""The `/v1` routes of the double: OpenAI's wire as Ollama speaks it, over the same models."""

from __future__ import annotations

import json
import secrets
import time
from array import array
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from tests.support import ollama_wire
from tests.support.exchange import Answer, answer_json, streamed
from tests.support.generation import End, Event, Failed, Thought, Token, ToolCall
from tests.support.script import Turn

if TYPE_CHECKING:
    from tests.support.ollama import Ollama

PLAIN_JSON = "application/json"
SSE = "text/event-stream"
_TYPES = {400: "invalid_request_error", 404: "not_found_error"}
_FINISH = {"stop": "stop", "length": "length"}

Route = Callable[["Ollama", Request], Awaitable[Response]]


def guarded(double: Ollama, route: Route) -> Answer:
    """The route behind the double's key, failing with OpenAI's envelope."""

    async def answer(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if double.api_key is not None and given != double.api_key:
            return _envelope("Incorrect API key provided.", 401, code="invalid_api_key")
        try:
            return await route(double, request)
        except Failed as error:
            failure = error.failure
            return _envelope(failure.error, failure.status, headers=failure.headers)

    return answer


def _envelope(
    message: str, status: int, code: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    kind = _TYPES.get(status, "api_error")
    error = {"message": message, "type": kind, "param": None, "code": code}
    return answer_json({"error": error}, status, PLAIN_JSON, **(headers or {}))


async def embeddings(double: Ollama, request: Request) -> Response:
    body = ollama_wire.parse(await request.body(), "EmbedRequest")
    texts = _inputs(body)
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        supported = "Supported values: ['float', 'base64']."
        raise ollama_wire.refuse(
            400, f"Invalid value for 'encoding_format' = {encoding}. {supported}"
        )
    name = body.get("model") or ""
    if double.card(name) is None:
        raise ollama_wire.refuse(404, f'model "{name}" not found, try pulling it first')
    rows, spent = await double.vectors(name, texts, body)
    data = [
        {"object": "embedding", "embedding": _encoded(row, encoding), "index": number}
        for number, row in enumerate(rows)
    ]
    usage = {"prompt_tokens": spent, "total_tokens": spent}
    whole = {"object": "list", "data": data, "model": name, "usage": usage}
    return answer_json(whole, 200, PLAIN_JSON)


def _inputs(body: dict[str, Any]) -> list[str]:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not texts:
        raise ollama_wire.refuse(400, "invalid input")
    if not all(isinstance(text, str) for text in texts):
        raise ollama_wire.refuse(400, "invalid input type")
    return list(texts)


def _encoded(row: list[float], encoding: str) -> list[float] | str:
    return row if encoding == "float" else b64encode(array("f", row).tobytes()).decode()


async def models(double: Ollama, request: Request) -> Response:
    newest = sorted(double.cards, key=lambda card: card.modified_at, reverse=True)
    data = [
        {
            "id": card.name,
            "object": "model",
            "created": int(card.modified_at.timestamp()),
            "owned_by": "library",
        }
        for card in newest
    ]
    return answer_json({"object": "list", "data": data or None}, 200, PLAIN_JSON)


async def chat(double: Ollama, request: Request) -> Response:
    body = ollama_wire.parse(await request.body(), "ChatCompletionRequest")
    if not body.get("messages"):
        raise ollama_wire.refuse(400, "[] is too short - 'messages'")
    if not body.get("model"):
        raise ollama_wire.refuse(400, "model is required")
    card = double.installed(body["model"], 400)
    messages = [_plain(message) for message in body["messages"]]
    ollama_wire.check_capable(card, body["model"], {**body, "messages": messages}, "chat")
    turn = Turn(
        body["model"],
        messages,
        body.get("tools") or [],
        _format(body.get("response_format")),
        _options(body),
    )
    events = double.events(card, turn, ollama_wire.DEFAULT_KEEP_ALIVE_S)
    shape = Chunks(body["model"])
    if not body.get("stream"):
        whole = shape.whole([event async for event in events])
        return answer_json(whole, 200, PLAIN_JSON)
    usage = bool((body.get("stream_options") or {}).get("include_usage"))
    # A runner that dies is hidden: a last chunk without a model, and no [DONE].
    return await streamed(_sse(events, shape, usage), SSE, after=lambda error: _data(shape.died()))


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """The message as Ollama's own API has it: text and pictures apart."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    if any(not url.startswith("data:") for url in urls):
        what = "image URLs are not currently supported, please use base64 encoded data instead"
        raise ollama_wire.refuse(400, what)
    texts = [part["text"] for part in parts if part["type"] == "text"]
    pictures = [url.partition(",")[2] for url in urls]
    return {**message, "content": "\n".join(texts), "images": pictures}


def _options(body: dict[str, Any]) -> dict[str, Any]:
    stop = body.get("stop")
    options = {
        "num_predict": body.get("max_completion_tokens") or body.get("max_tokens"),
        "stop": [stop] if isinstance(stop, str) else stop,
    }
    return {name: value for name, value in options.items() if value is not None}


def _format(response_format: dict[str, Any] | None) -> Any:
    if not response_format or response_format["type"] == "text":
        return None
    if response_format["type"] == "json_object":
        return "json"
    return response_format["json_schema"]["schema"]


async def _sse(events: AsyncIterator[Event], shape: Chunks, usage: bool) -> AsyncIterator[bytes]:
    called = False
    async for event in events:
        called = called or isinstance(event, ToolCall)
        if not isinstance(event, End):
            yield _data(shape.part(event))
            continue
        yield _data(shape.end(event, called))
        if usage:
            yield _data(shape.usage(event))
        yield b"data: [DONE]\n\n"


def _data(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


class Chunks:
    """Shapes the events of one answer as chunks of a completion, or as a whole one."""

    def __init__(self, model: str) -> None:
        self._model, self._role_said = model, False
        self._id, self._created = f"chatcmpl-{secrets.randbelow(1000)}", int(time.time())

    def part(self, event: Event) -> dict[str, Any]:
        delta: dict[str, Any] = {} if self._role_said else {"role": "assistant"}
        self._role_said = True
        delta["content"] = event.text if isinstance(event, Token) else ""
        if isinstance(event, Thought):
            delta["reasoning"] = event.text
        if isinstance(event, ToolCall):
            delta["tool_calls"] = [self._call(event)]
        return self._chunk([{"index": 0, "delta": delta, "finish_reason": None}])

    def end(self, end: End, called: bool) -> dict[str, Any]:
        reason = "tool_calls" if called else _FINISH[end.reason]
        return self._chunk([{"index": 0, "delta": {}, "finish_reason": reason}])

    def usage(self, end: End) -> dict[str, Any]:
        return {**self._chunk([]), "usage": self._usage(end)}

    def died(self) -> dict[str, Any]:
        delta = {"index": 0, "delta": {"content": ""}, "finish_reason": None}
        return {**self._chunk([delta]), "model": ""}

    def whole(self, events: list[Event]) -> dict[str, Any]:
        end = events[-1] if events and isinstance(events[-1], End) else End("stop", 0, 0)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(event.text for event in events if isinstance(event, Token)),
        }
        if thought := "".join(event.text for event in events if isinstance(event, Thought)):
            message["reasoning"] = thought
        calls = [self._call(event) for event in events if isinstance(event, ToolCall)]
        if calls:
            message["tool_calls"] = calls
        reason = "tool_calls" if calls else _FINISH[end.reason]
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage(end)}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": choices}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "system_fingerprint": "fp_ollama",
        }

    @staticmethod
    def _usage(end: End) -> dict[str, int]:
        return {
            "prompt_tokens": end.prompt_tokens,
            "completion_tokens": end.tokens,
            "total_tokens": end.prompt_tokens + end.tokens,
        }

    @staticmethod
    def _call(call: ToolCall) -> dict[str, Any]:
        arguments = json.dumps(call.arguments, separators=(",", ":"))
        function = {"name": call.name, "arguments": arguments}
        return {"id": call.id, "index": call.index, "type": "function", "function": function}
