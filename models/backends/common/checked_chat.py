"""A foreign chat model whose answers have an end and whose failures come in our families."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import (
    BaseChatModel,
    agenerate_from_stream,
    generate_from_stream,
)
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from config.errors import MotetError


class CheckedChat(BaseChatModel):
    """Stands before a LangChain model in a class's bases: `class OurChat(CheckedChat, Theirs)`.

    Always streams, so that every wait is one for the next piece, and cancelling a call closes
    its HTTP stream.
    """

    foreign: ClassVar[tuple[type[Exception], ...]]
    """What the model's libraries raise, and `TimeoutError` for a silence of `silence_s`."""

    _silence_s: float = PrivateAttr()

    def __init__(self, *, silence_s: float, **fields: Any) -> None:
        super().__init__(**fields)
        self._silence_s = silence_s

    def translated(self, error: Exception) -> MotetError:
        """Our error for one of `foreign`."""
        raise NotImplementedError

    def cut_short(self) -> MotetError:
        """Our error for a stream that ended without its last piece."""
        raise NotImplementedError

    def is_last(self, chunk: ChatGenerationChunk) -> bool:
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        ended = False
        try:
            stream = super()._astream(messages, stop, run_manager, **kwargs)
            async with aclosing(stream) as chunks:  # type: ignore[type-var]
                while True:
                    # Not `wait_for`: Python 3.11's loses a cancellation that comes in the tick
                    # of the result. And not around the loop: the reader's time is its own.
                    async with asyncio.timeout(self._silence_s):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    ended = ended or self.is_last(chunk)
                    yield chunk
        except self.foreign as error:
            raise self.translated(error) from error
        if not ended:
            raise self.cut_short()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        ended = False
        try:
            for chunk in super()._stream(messages, stop, run_manager, **kwargs):
                ended = ended or self.is_last(chunk)
                yield chunk
        except self.foreign as error:
            raise self.translated(error) from error
        if not ended:
            raise self.cut_short()

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))
