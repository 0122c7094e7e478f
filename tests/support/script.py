"""What a double says: parts of a reply, and gates at which a reply waits for the test."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Turn:
    """The request a reply is made for, as it came over the wire."""

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list)
    format: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    think: Any = None

    @property
    def last(self) -> str:
        return str(self.messages[-1].get("content") or "") if self.messages else ""

    @property
    def tool_names(self) -> list[str]:
        return [tool["function"]["name"] for tool in self.tools]


@dataclass(frozen=True)
class Thinking:
    """Text of the thinking channel."""

    text: str


@dataclass(frozen=True)
class Call:
    """A tool call."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An error: a status before the first token, a last line (Ollama) or silence (/v1) after."""

    error: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """The stream ends here, well formed but without its last line."""


@dataclass(frozen=True)
class Drop:
    """The connection breaks here."""


RUNNER_DIED = Failure("an error was encountered while running the model: unexpected EOF")


class Signal:
    """Set once, waited for from any thread or event loop."""

    def __init__(self) -> None:
        self._future: Future[None] = Future()

    def set(self) -> None:
        with suppress(InvalidStateError):
            self._future.set_result(None)

    @property
    def is_set(self) -> bool:
        return self._future.done()

    def wait_blocking(self, timeout_s: float = 10) -> None:
        self._future.result(timeout_s)

    async def wait(self, timeout_s: float | None = 10) -> None:
        loop = asyncio.get_running_loop()
        seen = asyncio.Event()

        def wake(_: Future[None]) -> None:
            with suppress(RuntimeError):  # the waiter's loop may be closed by now
                loop.call_soon_threadsafe(seen.set)

        self._future.add_done_callback(wake)
        await asyncio.wait_for(seen.wait(), timeout_s)


class Gate:
    """A reply that meets a gate waits there until the test opens it.

    `reached`: a request waits here, all parts before the gate are on the wire.
    `abandoned`: a client left (or the server stopped) while its request waited here.
    """

    def __init__(self) -> None:
        self.reached = Signal()
        self.abandoned = Signal()
        self._opened = Signal()

    def open(self) -> None:
        self._opened.set()

    async def passed(self) -> None:
        self.reached.set()
        try:
            await self._opened.wait(timeout_s=None)
        except asyncio.CancelledError:
            self.abandoned.set()
            raise


Part: TypeAlias = str | Thinking | Call | Failure | Cut | Drop | Gate
Reply: TypeAlias = Part | Iterable[Part]
Responder: TypeAlias = Callable[[Turn], Reply]


def says(*replies: Reply) -> Responder:
    """A responder that gives one reply after another, and the last one ever after."""
    left = list(replies)
    return lambda turn: left.pop(0) if len(left) > 1 else left[0]


def tokens(text: str) -> list[str]:
    """The text in word-sized pieces whose concatenation is the text."""
    return re.findall(r"\s*\S+|\s+$", text)


async def parts(reply: Reply) -> AsyncIterator[str | Thinking | Call | Failure | Cut | Drop]:
    """The parts of a reply, waiting at its gates."""
    single = isinstance(reply, str | Thinking | Call | Failure | Cut | Drop | Gate)
    for part in [reply] if single else reply:  # type: ignore[union-attr]
        if isinstance(part, Gate):
            await part.passed()
        else:
            yield part  # type: ignore[misc]
