"""The wire of Ollama's API, pure: which requests are refused and how answers are shaped."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from PIL import Image

from tests.support.generation import End, Event, Failed, Thought, Token, ToolCall
from tests.support.runners import Card, Runner
from tests.support.script import Failure

DEFAULT_KEEP_ALIVE_S = 300.0
REGISTRY = "<default-registry>"
_GO_KINDS = {dict: "object", list: "array", str: "string", bool: "bool"}
_FIELDS: dict[str, tuple[type, str]] = {
    "stream": (bool, "bool"),
    "prompt": (str, "string"),
    "options": (dict, "map[string]interface {}"),
    "messages": (list, "[]api.Message"),
    "tools": (list, "api.Tools"),
}
_OPTIONS: dict[str, tuple[tuple[type, ...], str]] = {
    "num_predict": ((int, float), "integer"),
    "num_ctx": ((int, float), "integer"),
    "temperature": ((int, float), "float32"),
    "stop": ((list,), "array"),
}
_BLIND = {  # a model that sees nothing, shown a picture: what its runner wrote, as a text
    "generate": (
        400,
        '{"error":{"code":400,"message":"Multimodal data provided, but model does not support '
        'multimodal requests.","type":"invalid_request_error"}}',
    ),
    "chat": (
        500,
        '{"error":{"code":500,"message":"image input is not supported - hint: if this is '
        'unexpected, you may need to provide the mmproj","type":"server_error"}}',
    ),
}
_BROKEN_PICTURE = (
    '{"error":{"code":400,"message":"Failed to load image or audio file",'
    '"type":"invalid_request_error"}}'
)
_LEVELS = ("high", "medium", "low", "max")


def refuse(status: int, error: str) -> Failed:
    return Failed(Failure(error, status))


def parse(raw: bytes, kind: str) -> dict[str, Any]:
    """The body of a request to the Go type `kind`; raises `Failed` as Go's decoder would."""
    if not raw.strip():
        raise refuse(400, "missing request body")
    try:
        body = json.loads(raw)
    except ValueError as error:
        ended = getattr(error, "pos", 0) >= len(raw.rstrip()) or str(error).startswith("Unterm")
        text = "unexpected EOF" if ended else _go_syntax(raw, getattr(error, "pos", 0))
        raise refuse(400, text) from None
    if not isinstance(body, dict):
        found = _go_kind(body)
        raise refuse(400, f"json: cannot unmarshal {found} into Go value of type api.{kind}")
    for name, (wanted, go) in _FIELDS.items():
        value = body.get(name)
        if value is not None and not isinstance(value, wanted):
            raise _mismatch(value, f"{kind}.{name}", go)
    for message in body.get("messages") or []:
        plain = str if kind != "ChatCompletionRequest" else (str, list)
        if not isinstance(message.get("content") or "", plain):
            raise _mismatch(message["content"], f"{kind}.messages.content", "string")
    return body


def _go_syntax(raw: bytes, place: int) -> str:
    found = raw.decode(errors="replace")[place]
    return f"invalid character '{found}' looking for beginning of object key string"


def _go_kind(value: Any) -> str:
    return _GO_KINDS.get(type(value), "number")


def _mismatch(value: Any, field: str, go: str) -> Failed:
    found = _go_kind(value)
    return refuse(400, f"json: cannot unmarshal {found} into Go struct field {field} of type {go}")


def keep_alive_s(body: Mapping[str, Any], default_s: float = DEFAULT_KEEP_ALIVE_S) -> float:
    """Seconds, negative for ever. Raises `Failed` for what Go's parser refuses."""
    value = body.get("keep_alive")
    if value is None:
        return default_s
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refuse(400, f"Unsupported type: '{type(value).__name__}'")
    if isinstance(value, int | float):
        return float(value)
    if re.fullmatch(r"-?[\d.]+", value):
        raise refuse(400, f'time: missing unit in duration "{value}"')
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", value)
    if not parts or not re.fullmatch(r"[+-]?([\d.]+(ms|s|m|h))+", value):
        raise refuse(400, f'time: invalid duration "{value}"')
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    total = sum(float(count) * units[unit] for count, unit in parts)
    return -total if value.startswith("-") else total


def check_think(body: Mapping[str, Any]) -> None:
    value = body.get("think")
    choices = ", ".join(f'"{level}"' for level in _LEVELS) + ", true, or false"
    if isinstance(value, str) and value not in _LEVELS:
        raise refuse(400, f'invalid think value: "{value}" (must be {choices})')
    if value is not None and not isinstance(value, bool | str):
        raise refuse(400, f"think must be a boolean or string ({choices})")


def check_capable(card: Card, asked: str, body: Mapping[str, Any], verb: str) -> None:
    """Raises `Failed` where the model cannot do what is asked."""
    if "completion" not in card.capabilities:
        raise refuse(400, f'"{asked}" does not support {verb}')
    if body.get("tools") and "tools" not in card.capabilities:
        raise refuse(400, f"{REGISTRY}/library/{card.name} does not support tools")
    if "vision" not in card.capabilities and _images(body):
        raise refuse(*_BLIND[verb])
    for picture in _images(body):
        _check_picture(picture)
    if body.get("think") and "thinking" not in card.capabilities:
        raise refuse(400, f'"{asked}" does not support thinking')


def _check_picture(encoded: str) -> None:
    try:
        with Image.open(BytesIO(b64decode(encoded))) as opened:
            opened.load()
    except OSError:
        raise refuse(400, _BROKEN_PICTURE) from None


def _images(body: Mapping[str, Any]) -> list[str]:
    messages = body.get("messages") or []
    return [each for holder in (body, *messages) for each in holder.get("images") or []]


def embed_inputs(body: Mapping[str, Any]) -> list[str]:
    """The texts of a request to `/api/embed`; none loads the model alone."""
    given = body.get("input")
    texts = given if isinstance(given, list) else [given] if given else []
    if not all(isinstance(text, str) for text in texts):
        raise refuse(400, "invalid input type")
    return texts


def embedded(name: str, rows: list[list[float]], prompt_tokens: int) -> dict[str, Any]:
    """The answer of `/api/embed`."""
    if not rows:
        return {"model": name, "embeddings": []}
    counts = {"total_duration": 300_000_000, "load_duration": 1_000_000}
    return {"model": name, "embeddings": rows, **counts, "prompt_eval_count": prompt_tokens}


def check_options(body: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the request; wrong types and formats are status 500, as in the original."""
    options = body.get("options") or {}
    for name, (kinds, go) in _OPTIONS.items():
        value = options.get(name)
        if value is not None and not isinstance(value, kinds):
            raise refuse(500, f'option "{name}" must be of type {go}')
    form = body.get("format")
    if form not in (None, "", "json") and not isinstance(form, dict):
        expected = 'expected "json" or a valid JSON Schema object'
        raise refuse(500, f"invalid format: {json.dumps(json.dumps(form))}; {expected}")
    return {name: value for name, value in options.items() if value is not None}


def now() -> str:
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0") + "Z"


class Lines:
    """Shapes the events of one answer as lines of `/api/chat` or `/api/generate`."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self._model, self._chat = model, chat

    def _line(self, message: dict[str, Any], **rest: Any) -> dict[str, Any]:
        head: dict[str, Any] = {"model": self._model, "created_at": now()}
        if self._chat:
            return {**head, "message": {"role": "assistant", "content": "", **message}, **rest}
        content = message.pop("content", "")
        return {**head, "response": content, **message, **rest}

    def idle(self, reason: str) -> dict[str, Any]:
        """The answer to an empty prompt: `load` or `unload`."""
        return self._line({}, done=True, done_reason=reason)

    def part(self, event: Event) -> dict[str, Any]:
        if isinstance(event, Token):
            return self._line({"content": event.text}, done=False)
        if isinstance(event, Thought):
            return self._line({"content": "", "thinking": event.text}, done=False)
        assert isinstance(event, ToolCall)
        return self._line({"tool_calls": [self.call(event)]}, done=False)

    def end(self, end: End, calls: list[ToolCall] | None = None) -> dict[str, Any]:
        message = {"tool_calls": [self.call(call) for call in calls]} if calls else {}
        return self._line(message, done=True, done_reason=end.reason, **self._counts(end))

    def whole(self, events: list[Event]) -> dict[str, Any]:
        """One body for the whole answer (`stream: false`); `done` is false where it was cut."""
        message: dict[str, Any] = {
            "content": "".join(event.text for event in events if isinstance(event, Token))
        }
        if thought := "".join(event.text for event in events if isinstance(event, Thought)):
            message["thinking"] = thought
        if calls := [self.call(event) for event in events if isinstance(event, ToolCall)]:
            message["tool_calls"] = calls
        if events and isinstance(end := events[-1], End):
            return self._line(message, done=True, done_reason=end.reason, **self._counts(end))
        return self._line(message, done=False)

    def _counts(self, end: End) -> dict[str, Any]:
        counts: dict[str, Any] = {
            "total_duration": 2_000_000 + 1_000_000 * end.tokens,
            "load_duration": 1_000_000,
            "prompt_eval_count": end.prompt_tokens,
            "prompt_eval_duration": 1_000_000,
            "eval_count": end.tokens,
            "eval_duration": 1_000_000 * end.tokens,
        }
        if not self._chat:
            counts = {"context": list(range(end.prompt_tokens + end.tokens)), **counts}
        return {name: value for name, value in counts.items() if value}  # Go's omitempty

    @staticmethod
    def call(call: ToolCall) -> dict[str, Any]:
        function = {"index": call.index, "name": call.name, "arguments": call.arguments}
        return {"id": call.id, "function": function}


def details(card: Card) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": card.family,
        "families": [card.family],
        "parameter_size": card.parameter_size,
        "quantization_level": card.quantization,
    }


def tag(card: Card, *, old: bool) -> dict[str, Any]:
    """An entry of `/api/tags`; servers before 0.30 say less (`old`)."""
    entry = {
        "name": card.name,
        "model": card.name,
        "modified_at": stamp(card.modified_at),
        "size": card.size_bytes,
        "digest": card.digest,
        "details": details(card),
    }
    if not old:
        entry["details"]["context_length"] = card.context_length  # type: ignore[index]
        entry["details"]["embedding_length"] = card.embedding_length  # type: ignore[index]
        entry["capabilities"] = list(card.capabilities)
    return entry


def running(runner: Runner) -> dict[str, Any]:
    card = runner.card
    return {
        "name": card.name,
        "model": card.name,
        "size": card.memory_bytes,
        "digest": card.digest,
        "details": details(card),
        "expires_at": stamp(runner.expires_at),
        "size_vram": card.vram_bytes,
        "context_length": runner.num_ctx,
    }


def shown(card: Card) -> dict[str, Any]:
    template = "{{ .Prompt }}"
    return {
        "modelfile": '# Modelfile generated by "ollama show"\n'
        f"# FROM {card.name}\n\nFROM /models/blobs/sha256-{card.blob}\n",
        "template": template,
        "details": details(card),
        "model_info": {
            "general.architecture": card.family,
            f"{card.family}.context_length": card.context_length,
            f"{card.family}.embedding_length": card.embedding_length,
            f"{card.family}.attention.head_count": card.heads,
            f"{card.family}.attention.head_count_kv": card.heads,
            f"{card.family}.block_count": card.layers,
        },
        "tensors": [{"name": "output.weight", "type": "F32", "shape": [64, 320]}],
        "capabilities": list(card.capabilities),
        "modified_at": stamp(card.modified_at),
    }
