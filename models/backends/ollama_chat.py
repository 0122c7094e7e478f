"""LangChain's chat model for Ollama, bounded in time and failing in our families.

Imported only when a model is loaded: it costs 0.4 s and 35 MB.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import httpx
import ollama
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_ollama import ChatOllama
from pydantic import PrivateAttr, ValidationError

from config.errors import Invalid, MotetError
from models.backends import ollama_errors as errors
from models.backends.ollama_api import CONNECT_TIMEOUT_S, is_local

_FOREIGN = (httpx.HTTPError, ConnectionError, ollama.ResponseError, ValueError, TypeError)
_UNREADABLE = (json.JSONDecodeError, ValidationError, OutputParserException)


class OllamaChat(ChatOllama):
    """Streams from `/api/chat`. Cancelling a call closes its HTTP stream, which stops the model.

    `silence_s` bounds the wait for each piece of an answer. `on_unreachable` is told when the
    server does not answer any more.
    """

    _silence_s: float = PrivateAttr()
    _on_unreachable: Callable[[str], None] = PrivateAttr()

    def __init__(
        self,
        *,
        url: str,
        model: str,
        silence_s: float,
        on_unreachable: Callable[[str], None] = lambda reason: None,
        **options: Any,
    ) -> None:
        client = {
            "timeout": httpx.Timeout(silence_s, connect=CONNECT_TIMEOUT_S),
            "trust_env": not is_local(url),
            # How many may ask at once is decided by whoever leases the model.
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=16),
        }
        super().__init__(base_url=url, model=model, client_kwargs=client, **options)
        self._silence_s = silence_s
        self._on_unreachable = on_unreachable

    async def aclose(self) -> None:
        await self._async_client.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]

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
                async for chunk in chunks:
                    ended = ended or _is_last(chunk)
                    yield chunk
        except _FOREIGN as error:
            raise self._translated(error) from error
        if not ended:
            raise errors.cut_short(self.model)

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
                ended = ended or _is_last(chunk)
                yield chunk
        except _FOREIGN as error:
            raise self._translated(error) from error
        if not ended:
            raise errors.cut_short(self.model)

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

    def _translated(self, error: Exception) -> MotetError:
        if isinstance(error, ollama.ResponseError):
            return errors.from_answer(error.status_code, error.error, self.model)
        if isinstance(error, httpx.HTTPError | ConnectionError):
            url = self.base_url or ""
            found = errors.from_transport(error, url, self.model, self._silence_s)
            if found.code == "ollama_unreachable":
                self._on_unreachable(found.message)
            return found
        if isinstance(error, _UNREADABLE):
            return errors.from_answer(-1, f"its answer cannot be read ({error})", self.model)
        # What is left was found by langchain-ollama while it wrote the request.
        return Invalid(f"'{self.model}' cannot be asked this: {error}", code="model_refused")


def _is_last(chunk: ChatGenerationChunk) -> bool:
    return bool((chunk.generation_info or {}).get("done"))
