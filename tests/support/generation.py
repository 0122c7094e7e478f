"""A reply as a model's output: tokens, limits, stop sequences, counts. Knows no wire format."""

from __future__ import annotations

import secrets
import string
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.support.script import Call, Cut, Drop, Failure, Reply, Thinking, Turn, parts, tokens

CALL_TOKENS = 9  # what a call costs in the recordings
TEMPLATE_TOKENS = 4  # what the chat template adds to a message
REPEAT_LIMIT = 31  # after so many equal tokens the real server ends the stream


@dataclass(frozen=True)
class Token:
    text: str


@dataclass(frozen=True)
class Thought:
    text: str


@dataclass(frozen=True)
class ToolCall:
    id: str
    index: int
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class End:
    reason: str
    prompt_tokens: int
    tokens: int


Event: TypeAlias = Token | Thought | ToolCall | End


class Failed(Exception):
    """The reply failed; `started` tells whether anything was on the wire by then."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


class Dropped(Exception):
    """The connection is to break."""


async def generate(turn: Turn, reply: Reply, *, go_template: bool) -> AsyncIterator[Event]:
    """The events of one answer; without a closing `End` where the stream is cut."""
    limit = int(turn.options.get("num_predict") or -1)
    stops = turn.options.get("stop") or []
    said, calls, same, before = 0, 0, 0, ""
    words = (len(tokens(str(message.get("content") or ""))) for message in turn.messages)
    prompt = sum(words) + TEMPLATE_TOKENS * len(turn.messages)
    async for part in parts(reply):
        if isinstance(part, Failure):
            raise Failed(part)
        if isinstance(part, Drop):
            raise Dropped
        if isinstance(part, Cut):
            return
        if isinstance(part, Call):
            said += CALL_TOKENS
            if 0 < limit < said:
                yield End("length", prompt, limit)
                return
            # Ollama's own parser drops a call of a tool that was not offered.
            if part.name in turn.tool_names or not go_template:
                yield ToolCall(_call_id(go_template), calls, part.name, part.arguments)
                calls += 1
            continue
        if isinstance(part, Thinking) and turn.think is False:
            continue
        text = part.text if isinstance(part, Thinking) else part
        kept, stopped = _until(text, stops)
        for token in tokens(kept):
            said += 1
            same = same + 1 if token.strip() == before else 1
            before = token.strip()
            yield Thought(token) if isinstance(part, Thinking) else Token(token)
            if same >= REPEAT_LIMIT:
                return
            if said == limit:
                yield End("length", prompt, said)
                return
        if stopped:
            break
    yield End("stop", prompt, said)


def _until(text: str, stops: list[str]) -> tuple[str, bool]:
    places = [text.find(stop) for stop in stops if stop in text]
    return (text[: min(places)], True) if places else (text, False)


def _call_id(go_template: bool) -> str:
    def letters(count: int) -> Iterator[str]:
        return (secrets.choice(string.ascii_lowercase + string.digits) for _ in range(count))

    return "call_" + "".join(letters(8)) if go_template else "".join(letters(32))
