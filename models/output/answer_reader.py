"""An answer in LangChain's chunks, read as it streams.

Owns the order of the filters: channels, thinking, calls of tools, loops. What comes out has the
answer as its text, thinking as `messages` says, and calls as LangChain has them. Where the server
found calls itself, those in the text of the same answer do not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from models.output.call_filter import CallFilter
from models.output.call_parsing import ParsedCalls, Tools, parse_calls, tools_of
from models.output.harmony import HarmonyFilter
from models.output.messages import (
    KEPT_CHARS,
    REPETITION,
    THINKING,
    UNOPENED_CHARS,
    is_length,
    thinking_of,
)
from models.output.repetition import RepetitionDetector
from models.output.thinking import Piece, ThinkingFilter

_CALL = "<tool_call>"
MAX_REPEATED_CALLS = 4
"""So often may calls come again in one answer; with more it goes round in circles."""


class AnswerReader:
    """Reads one answer.

    `tools` are those that were bound, in OpenAI's form: only their calls are looked for.
    `is_format`: the answer is held to JSON. `may_be_open`: it may begin as thinking without a tag.
    """

    def __init__(
        self,
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        is_format: bool = False,
        may_be_open: bool = False,
    ) -> None:
        self._tools: Tools = tools_of(tools)
        self._harmony = HarmonyFilter()
        self._thinking = ThinkingFilter(may_be_open=may_be_open)
        self._calls = CallFilter(self._tools)
        self._loops = _LoopWatch(is_format)
        self._thoughts: list[str] = []
        self._text_chars = 0
        """Characters of text that were put out."""
        self._has_calls = self._has_ended = False
        self._unopened_chars = 0
        """How much of the text was thinking, as became known later."""

    @property
    def was_open(self) -> bool:
        """Whether the answer began as thinking, and its opening tag stood in the prompt."""
        return self._thinking.was_open

    @property
    def kept_chars(self) -> int | None:
        """How much of the text is to be kept, once it or the thinking goes round in circles."""
        return self._loops.kept_chars

    def read(self, chunk: AIMessageChunk, reason: str = "") -> Iterator[AIMessageChunk]:
        """Yield what is decided with this chunk; with a `reason` the answer has ended."""
        self._has_calls = self._has_calls or bool(chunk.tool_call_chunks)
        text, thinking = str(chunk.text), thinking_of(chunk)
        came = [Piece("thinking", thinking), Piece("text", text)]
        came = [piece for piece in came if piece.text]
        decided = [each for piece in came for each in self._decide(piece)]
        passes = decided == came and len(came) < 2 and isinstance(chunk.content, str)
        if not passes:
            yield from (self._write(piece, chunk.id) for piece in decided)
        if reason:
            yield from self.end(reason)
        yield chunk if passes else _without_content(chunk)

    def end(self, reason: str = "") -> Iterator[AIMessageChunk]:
        """Yield what was held back; an answer that was cut may end within a call, or a loop."""
        if self._has_ended:
            return
        self._has_ended = True
        pieces = [*self._thinking.feed(self._harmony.end()), *self._thinking.end()]
        decided = list(self._read_pieces(pieces))
        cut = is_length(reason)
        if rest := self._calls.end(cut=cut):
            decided.append(self._note(Piece("text", rest)))
        yield from (self._write(piece) for piece in decided)
        if cut:
            self._loops.look_closer()
        if calls := self._call_chunks(cut):
            yield AIMessageChunk(content="", tool_call_chunks=calls)

    def end_loop(self) -> AIMessageChunk:
        """Return the last chunk of an answer that goes round in circles."""
        self._has_ended = True
        metadata = {"finish_reason": REPETITION, KEPT_CHARS: self.kept_chars}
        calls = self._call_chunks(cut=True)
        return AIMessageChunk(content="", tool_call_chunks=calls, response_metadata=metadata)

    def breaks_off_in_loop(self) -> bool:
        """Tell whether an answer that its server broke off had begun to go round in circles."""
        return self._loops.look_closer()

    def _decide(self, piece: Piece) -> Iterator[Piece]:
        if piece.kind == "thinking":  # the server itself set it apart
            yield self._note(piece)
        else:
            yield from self._read_pieces(self._thinking.feed(self._harmony.feed(piece.text)))

    def _read_pieces(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if piece.kind == "thinking":
                yield self._note(piece)
            elif piece.kind == "unopened":
                # What was taken for text until here may have held what looked like calls.
                if rest := self._calls.end(cut=True):
                    yield self._note(Piece("text", rest))
                self._calls = CallFilter(self._tools)
                self._loops.begin_text(self._text_chars)
                self._unopened_chars = self._text_chars
                yield piece
            elif shown := self._calls.feed(piece.text) if self._tools else piece.text:
                yield self._note(Piece("text", shown))
        if self._calls.repeats > MAX_REPEATED_CALLS:
            self._loops.stop()

    def _note(self, piece: Piece) -> Piece:
        if piece.kind == "text":
            self._text_chars += len(piece.text)
        elif self._tools:
            self._thoughts.append(piece.text)
        self._loops.feed(piece)
        return piece

    def _write(self, piece: Piece, id_: str | None = None) -> AIMessageChunk:
        match piece.kind:
            case "text":
                return AIMessageChunk(content=piece.text, id=id_)
            case "thinking":
                return AIMessageChunk(content="", id=id_, additional_kwargs={THINKING: piece.text})
            case "unopened":
                metadata = {UNOPENED_CHARS: self._unopened_chars}
                return AIMessageChunk(content="", id=id_, response_metadata=metadata)

    def _call_chunks(self, cut: bool) -> list[ToolCallChunk]:
        """Return the calls of the text; where it has none, those left within thinking."""
        if self._has_calls or not self._tools:
            return []
        parsed = ParsedCalls(self._calls.calls, self._calls.unreadable)
        if not parsed and not self._text_chars:
            _, mark, rest = "".join(self._thoughts).rpartition(_CALL)
            parsed = parse_calls(rest, self._tools, marked=True, cut=cut) if mark else parsed
        arguments = [
            *((call.name, json.dumps(call.arguments, default=str)) for call in parsed.calls),
            # A JSON text, which no reader takes for arguments that are only cut off.
            *((call.name, json.dumps(call.text)) for call in parsed.unreadable),
        ]
        self._has_calls = bool(arguments)
        return [
            tool_call_chunk(name=name, args=args, id=f"call_{uuid4().hex[:24]}", index=number)
            for number, (name, args) in enumerate(arguments)
        ]


class _LoopWatch:
    """Looks for loops in the text and in the thinking of one answer."""

    def __init__(self, is_format: bool) -> None:
        self._is_format = is_format
        self._thinking = RepetitionDetector()
        self.begin_text(0)
        self.kept_chars: int | None = None

    def begin_text(self, base: int) -> None:
        """Look for loops only in the text behind the first `base` characters."""
        self._text = RepetitionDetector(is_format=self._is_format)
        self._base = self._chars = base

    def feed(self, piece: Piece) -> None:
        if piece.kind == "text":
            self._chars += len(piece.text)
            self._keep(self._text.feed(piece.text))
        elif self._thinking.feed(piece.text) is not None:
            self.stop()

    def stop(self) -> None:
        """Keep the text until here: something else goes round in circles."""
        if self.kept_chars is None:
            self.kept_chars = self._chars

    def look_closer(self) -> bool:
        """Look for shorter loops at the end too; tell whether there is any."""
        self._keep(self._text.end())
        if self._thinking.end() is not None:
            self.stop()
        return self.kept_chars is not None

    def _keep(self, chars: int | None) -> None:
        if chars is not None and self.kept_chars is None:
            self.kept_chars = self._base + chars


def _without_content(chunk: AIMessageChunk) -> AIMessageChunk:
    extra = {key: item for key, item in chunk.additional_kwargs.items() if key != THINKING}
    return chunk.model_copy(update={"content": "", "additional_kwargs": extra})
