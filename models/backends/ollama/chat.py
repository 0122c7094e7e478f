"""LangChain's chat model for Ollama, bounded in time and failing in our families.

Imported only when a model is loaded: it costs 0.4 s and 35 MB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx
import ollama
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_ollama import ChatOllama
from pydantic import PrivateAttr, ValidationError

from config.errors import Invalid, MotetError
from models.backends.common.checked_chat import CheckedChat
from models.backends.common.network import CONNECT_TIMEOUT_S
from models.backends.common.sampling import for_ollama, take_sampling
from models.backends.common.transports import TransportFactory
from models.backends.ollama import errors
from models.backends.ollama.connection import OnLost

_UNREADABLE = (json.JSONDecodeError, ValidationError, OutputParserException)


class OllamaChat(CheckedChat, ChatOllama):
    """Streams from `/api/chat`; closing the stream stops the model.

    `called` is its name in models.yaml. `silence_s` bounds the wait for each piece of an answer.
    `on_lost` is called when the model is not in memory any more.
    """

    foreign: ClassVar[tuple[type[Exception], ...]] = (
        httpx.HTTPError,
        ConnectionError,
        TimeoutError,
        ollama.ResponseError,
        ValueError,
        TypeError,
    )
    _on_lost: OnLost = PrivateAttr()
    _called: str = PrivateAttr()
    _reasoning: bool | str | None = PrivateAttr()

    def __init__(
        self,
        *,
        url: str,
        called: str,
        model: str,
        silence_s: float,
        on_lost: OnLost = lambda reason: None,
        reasoning: bool | str | None = None,
        **options: Any,
    ) -> None:
        transports = TransportFactory(httpx, url)
        super().__init__(
            silence_s=silence_s,
            base_url=url,
            model=model,
            client_kwargs={"timeout": httpx.Timeout(silence_s, connect=CONNECT_TIMEOUT_S)},
            async_client_kwargs={"transport": transports.make("AsyncHTTPTransport")},
            sync_client_kwargs={"transport": transports.make("HTTPTransport")},
            reasoning=True,  # LangChain hands on no thinking otherwise; asked for is `_reasoning`
            **options,
        )
        self._on_lost = on_lost
        self._called = called
        self._reasoning = reasoning
        self._note_context()

    def fix(self, options: Mapping[str, Any]) -> None:
        """Ask with these options of the runner from now on."""
        for name, value in options.items():
            setattr(self, name, value)
        self._note_context()

    def _note_context(self) -> None:
        """Tell what the model was loaded with: of a longer prompt Ollama drops what it likes."""
        if self.num_ctx:
            self.profile = {**(self.profile or {}), "max_input_tokens": self.num_ctx}

    def _chat_params(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        # Ollama itself sets an answer no bound: it forgets the prompt and goes on.
        bound = {"max_tokens": self.max_tokens_of(kwargs)}
        sampling = for_ollama({**take_sampling(self._sampling, kwargs, stop), **bound})
        params = super()._chat_params(messages, **{"reasoning": self._reasoning, **kwargs})
        return {**params, "options": {**sampling, **params["options"]}}

    async def aclose(self) -> None:
        await self._async_client.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]

    def schema_fields(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {"format": schema}

    def translate_error(self, error: Exception) -> MotetError:
        translated = self._translate(error)
        if errors.tells_of_loss(translated):
            self._on_lost(translated.message)
        return translated

    def _translate(self, error: Exception) -> MotetError:
        if isinstance(error, ollama.ResponseError):
            return errors.from_answer(error.status_code, error.error, self._called, self.model)
        if isinstance(error, httpx.HTTPError | ConnectionError | TimeoutError):
            url = self.base_url or ""
            return errors.from_transport(error, url, self._called, self._silence_s)
        if isinstance(error, _UNREADABLE):
            unreadable = f"its answer cannot be read ({error})"
            return errors.from_answer(-1, unreadable, self._called, self.model)
        # What is left was found by langchain-ollama while it wrote the request.
        return Invalid(f"'{self._called}' cannot be asked this: {error}", code="model_refused")

    def incomplete_error(self) -> MotetError:
        return errors.cut_short(self._called)

    def is_last(self, chunk: ChatGenerationChunk) -> bool:
        return bool((chunk.generation_info or {}).get("done"))
