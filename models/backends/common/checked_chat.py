"""A foreign chat model whose answers have an end and whose failures come in our families."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from config.errors import MotetError, Unavailable
from models.backends.common.streaming_chat import (
    JSON_SCHEMA,
    StreamingChat,
    finish_result,
    read_chunk,
)
from models.backends.common.written_tools import TOOL_CALLING, refuses_tools
from models.capabilities.sampling import default_max_tokens
from models.output.answer_reader import AnswerReader

log = logging.getLogger(__name__)

SCHEMA_REFUSALS = frozenset({"model_refused", "model_failed", "capability_unsupported"})
"""Errors before an answer that may be about its schema: servers say so in words of their own."""
SPARE_PIECES = 64
"""So many pieces more than its bound has tokens an answer may have: some are empty."""


class CheckedChat(StreamingChat):
    """Stands before a LangChain model in a class's bases: `class OurChat(CheckedChat, Theirs)`.

    Cancelling a call, or closing its stream, closes the HTTP stream behind it. So does an answer
    that goes on beyond its bound of tokens, whatever the server makes of that bound. A server that
    refuses tools is asked once more with the tools in the prompt, and so from then on; one that
    fails at a schema before it answers, once more without it.
    """

    foreign: ClassVar[tuple[type[Exception], ...]]
    """What the model's libraries raise, and `TimeoutError` for a silence of `silence_s`."""

    _silence_s: float = PrivateAttr()
    _sampling: Mapping[str, Any] = PrivateAttr()
    """What the model's options say of sampling."""

    def __init__(
        self, *, silence_s: float, sampling: Mapping[str, Any] | None = None, **fields: Any
    ) -> None:
        super().__init__(**fields)
        self._silence_s = silence_s
        self._sampling = sampling or {}

    def max_tokens_of(self, call: Mapping[str, Any]) -> int:
        """Return the bound on an answer: as its call says, else the model's options, else ours."""
        context = (self.profile or {}).get("max_input_tokens")
        chosen = call.get("max_tokens") or self._sampling.get("max_tokens")
        return chosen or default_max_tokens(context)

    def schema_fields(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options by which the server is told of a schema."""
        raise NotImplementedError

    def translate_error(self, error: Exception) -> MotetError:
        """Return our error for one of `foreign`."""
        raise NotImplementedError

    def incomplete_error(self) -> MotetError:
        """Return our error for a stream that ended without its last piece."""
        raise NotImplementedError

    async def explain_loss(self, error: MotetError) -> MotetError:
        """Return an error that says more than ours, where it is known how the server ended."""
        return error

    def is_last(self, chunk: ChatGenerationChunk) -> bool:
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        sent, options = self._prepare(messages, kwargs)
        try:
            with self._checked(kwargs) as reading:
                stream = super()._astream(sent, stop, **options)
                async with aclosing(stream) as chunks:  # type: ignore[type-var]
                    while not reading.is_over:
                        # Not `wait_for`: Python 3.11's loses a cancellation that comes in the tick
                        # of the result. And not around the loop: the reader's time is its own.
                        async with asyncio.timeout(self._silence_s):
                            chunk = await anext(chunks, None)
                        if chunk is None:
                            break
                        for each in reading.read(chunk, last=self.is_last(chunk)):
                            # By `_agenerate` alone; in a stream LangChain reports chunks itself.
                            if run_manager:
                                await run_manager.on_llm_new_token(each.text, chunk=each)
                            yield each
                for each in reading.end():
                    yield each
            return
        except _Refused as refused:
            options = refused.options
        except Unavailable as error:
            raise await self.explain_loss(error) from error.__cause__
        stream = self._astream(messages, stop, run_manager, **options)
        async with aclosing(stream) as again:  # type: ignore[type-var]
            async for chunk in again:
                yield chunk

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        sent, options = self._prepare(messages, kwargs)
        try:
            with self._checked(kwargs) as reading:
                with closing(super()._stream(sent, stop, **options)) as chunks:  # type: ignore[type-var]
                    for chunk in chunks:
                        for each in reading.read(chunk, last=self.is_last(chunk)):
                            if run_manager:
                                run_manager.on_llm_new_token(each.text, chunk=each)
                            yield each
                        if reading.is_over:
                            break
                yield from reading.end()
            return
        except _Refused as refused:
            options = refused.options
        yield from self._stream(messages, stop, run_manager, **options)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        stream = self._stream(messages, stop, run_manager, **kwargs)
        return finish_result(generate_from_stream(stream))

    def _prepare(
        self, messages: list[BaseMessage], call: Mapping[str, Any]
    ) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return the messages and the options of a call as the server takes them."""
        sent, options = self._write_tools(messages, call)
        schema = options.pop(JSON_SCHEMA, None)
        return sent, options if schema is None else {**options, **self.schema_fields(schema)}

    @contextmanager
    def _checked(self, options: Mapping[str, Any]) -> Iterator[_Reading]:
        """Translate what a stream raises, and refuse one that ends without its last piece.

        Raises `_Refused` where it has not begun because of the call's tools or schema.
        """
        reading = _Reading(self._open_reader(options), self.max_tokens_of(options))
        try:
            yield reading
        except self.foreign as error:
            translated = self.translate_error(error)
            others = None if reading.has_begun else self._ways_around(translated, options)
            raise (translated if others is None else _Refused(others)) from error
        if not reading.is_whole:
            raise self.incomplete_error()
        self._close_reader(reading.reader)

    def _ways_around(self, error: MotetError, call: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the options to ask with once more; None where the error is to be raised."""
        if self.takes_tools and call.get("tools") and refuses_tools(error):
            self.profile = {**(self.profile or {}), TOOL_CALLING: False}
            log.info("tools are written into prompts from now on: %s", error.message)
            return dict(call)
        if JSON_SCHEMA in call and error.code in SCHEMA_REFUSALS:
            log.debug("asked again without a schema: %s", error)
            return {name: value for name, value in call.items() if name != JSON_SCHEMA}
        return None


class _Refused(Exception):
    """A server refuses tools or a schema; the request is made again with these options."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.options = options


class _Reading:
    """One stream as it is read, and whether its last piece came."""

    def __init__(self, reader: AnswerReader, max_tokens: int) -> None:
        self.reader = reader
        self.is_whole = False
        self._max_pieces = max_tokens + SPARE_PIECES
        self._pieces = 0

    @property
    def has_begun(self) -> bool:
        return self._pieces > 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be read, although the stream may go on."""
        return self._loops or self._is_beyond

    @property
    def _loops(self) -> bool:
        return self.reader.kept_chars is not None

    @property
    def _is_beyond(self) -> bool:
        return not self.is_whole and self._pieces > self._max_pieces

    def read(self, chunk: ChatGenerationChunk, *, last: bool) -> Iterator[ChatGenerationChunk]:
        self.is_whole = self.is_whole or last
        self._pieces += 1
        return read_chunk(self.reader, chunk, last=last)

    def end(self) -> Iterator[ChatGenerationChunk]:
        """Yield what was held back, and the end of a stream that has none of its own."""
        if self._loops or (not self.is_whole and self.reader.breaks_off_in_loop()):
            self.is_whole = True
            yield ChatGenerationChunk(message=self.reader.end_loop())
        elif self._is_beyond:
            self.is_whole = True
            yield from read_chunk(self.reader, _beyond_chunk(), last=True)
        for message in self.reader.end():
            yield ChatGenerationChunk(message=message)


def _beyond_chunk() -> ChatGenerationChunk:
    """Return the last chunk of an answer that its server did not end at its bound of tokens."""
    ending = {"finish_reason": "length"}
    return ChatGenerationChunk(
        message=AIMessageChunk(content="", response_metadata=ending), generation_info=ending
    )
