"""LangChain chat models that always stream, so that every wait is one for the next piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from config.errors import Unavailable


class StreamingChat(BaseChatModel):
    """Base of a chat model whose whole answer is what it streams, put together."""

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))


class AsyncChat(StreamingChat):
    """Base of our own chat models, which answer asynchronously alone.

    A subclass gives `_answer`. Asked synchronously it raises `Unavailable` (`async_only`).
    """

    def _answer(
        self, messages: list[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield the answer in chunks. Closing the generator must end the work.

        `options` are those of one call, given with it or bound: sampling, `tools` and the like.
        """
        raise NotImplementedError

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(self._answer(messages, stop, kwargs)) as chunks:
            async for chunk in chunks:
                # Given by `_agenerate` alone; in a stream LangChain reports each chunk itself.
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise Unavailable(
            f"'{self.name}' answers only asynchronously: use `ainvoke` or `astream`.",
            code="async_only",
            permanent=True,
        )
