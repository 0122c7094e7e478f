"""A foreign chat model whose answers have an end and whose failures come in our families."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from config.errors import MotetError, Unavailable
from models.backends.common.streaming_chat import StreamingChat


class CheckedChat(StreamingChat):
    """Stands before a LangChain model in a class's bases: `class OurChat(CheckedChat, Theirs)`.

    Cancelling a call, or closing its stream, closes the HTTP stream behind it.
    """

    foreign: ClassVar[tuple[type[Exception], ...]]
    """What the model's libraries raise, and `TimeoutError` for a silence of `silence_s`."""

    _silence_s: float = PrivateAttr()

    def __init__(self, *, silence_s: float, **fields: Any) -> None:
        super().__init__(**fields)
        self._silence_s = silence_s

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
        try:
            with self._checked() as ending:
                stream = super()._astream(messages, stop, run_manager, **kwargs)
                async with aclosing(stream) as chunks:  # type: ignore[type-var]
                    while True:
                        # Not `wait_for`: Python 3.11's loses a cancellation that comes in the tick
                        # of the result. And not around the loop: the reader's time is its own.
                        async with asyncio.timeout(self._silence_s):
                            chunk = await anext(chunks, None)
                        if chunk is None:
                            break
                        ending.reached = ending.reached or self.is_last(chunk)
                        yield chunk
        except Unavailable as error:
            raise await self.explain_loss(error) from error.__cause__

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with self._checked() as ending:
            for chunk in super()._stream(messages, stop, run_manager, **kwargs):
                ending.reached = ending.reached or self.is_last(chunk)
                yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    @contextmanager
    def _checked(self) -> Iterator[_Ending]:
        """Translate what a stream raises, and refuse one that ends without its last piece."""
        ending = _Ending()
        try:
            yield ending
        except self.foreign as error:
            raise self.translate_error(error) from error
        if not ending.reached:
            raise self.incomplete_error()


class _Ending:
    """Whether the last piece of a stream came."""

    reached = False
