"""The recordings of real servers, and when two answers have the same wire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx

DATA = Path(__file__).parent.parent / "data" / "ollama"
# Present or absent by the model's own file, not by the protocol.
OPTIONAL = {"parameters", "projector_info", "license", "system", "context"}
OPEN = {"model_info", "arguments"}


@dataclass(frozen=True)
class Record:
    case: str
    step: str
    request: dict[str, Any]
    response: dict[str, Any]


def records(file: str = "recorded.jsonl") -> list[Record]:
    lines = (DATA / file).read_text().splitlines()
    return [
        Record(each["case"], each.get("step", ""), each["request"], each["response"])
        for each in map(json.loads, lines)
    ]


def send(client: httpx.Client, request: dict[str, Any]) -> httpx.Response:
    text = request.get("body_text")
    content = text if text is not None else None
    body = request.get("body")
    headers = {"content-type": "application/json"}
    if content is None and body is not None:
        content = json.dumps(body)
    return client.request(request["method"], request["path"], content=content, headers=headers)


def wire(response: httpx.Response) -> dict[str, Any]:
    """The response in the form of a recording."""
    kind = response.headers.get("content-type", "")
    seen: dict[str, Any] = {"status": response.status_code, "content_type": kind}
    if kind == "application/x-ndjson":
        seen["lines"] = [json.loads(line) for line in response.text.splitlines()]
    elif kind == "text/event-stream":
        data = [line for line in response.text.split("\n\n") if line]
        seen["lines"] = [_event(line) for line in data]
    elif kind.startswith("application/json"):
        seen["body"] = response.json()
    else:
        seen["body_text"] = response.text
    return seen


def _event(line: str) -> Any:
    data = line.removeprefix("data: ")
    return json.loads(data) if data.startswith("{") else line


def shape(value: Any) -> Any:
    """Keys in order and kinds of values; texts only where they are the protocol."""
    if isinstance(value, dict):
        return {
            name: value[name] if _literal(name, value[name]) else _open_shape(name, value[name])
            for name in value
            if name not in OPTIONAL
        }
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return 0
    return "text"


def _open_shape(name: str, value: Any) -> Any:
    return {} if name in OPEN and isinstance(value, dict) else shape(value)


def _literal(name: str, value: Any) -> bool:
    texts = {"error", "done_reason", "finish_reason", "role", "object", "system_fingerprint"}
    if name == "status":
        return isinstance(value, str) and not value.startswith("pulling ")
    return name in texts and not isinstance(value, dict)


def same_wire(recorded: dict[str, Any], answered: dict[str, Any]) -> None:
    """Asserts status, content type, keys, kinds, order; streams with repeats taken together."""
    assert answered["status"] == recorded["status"]
    assert answered["content_type"] == recorded["content_type"]
    assert answered.get("body_text") == recorded.get("body_text")
    assert ordered(shape(answered.get("body"))) == ordered(shape(recorded.get("body")))
    if "lines" in recorded:
        assert runs_of(answered["lines"]) == runs_of(recorded["lines"])


def ordered(value: Any) -> str:
    """As text: unlike two dicts, two texts differ when their keys come in another order."""
    return json.dumps(value)


def runs_of(lines: list[Any]) -> list[str]:
    shapes = (line if isinstance(line, str) else ordered(shape(line)) for line in lines)
    return [each for each, _ in groupby(shapes)]


def said(response: dict[str, Any]) -> list[Any]:
    """Everything the model said: text, thinking, calls, in order."""
    lines = [line for line in response.get("lines", [response.get("body")]) if line]
    spoken: list[Any] = []
    for line in lines:
        if not isinstance(line, dict):
            continue
        choices = line.get("choices") or [{}]
        message = (
            line.get("message") or choices[0].get("delta") or choices[0].get("message") or line
        )
        if not isinstance(message, dict):
            continue
        for call in message.get("tool_calls") or []:
            spoken.append((call["function"]["name"], call["function"]["arguments"]))
        for key in ("thinking", "reasoning", "content", "response"):
            if isinstance(message.get(key), str):
                spoken.append(message[key])
    texts = "".join(each for each in spoken if isinstance(each, str))
    return [texts, *(each for each in spoken if not isinstance(each, str))]
