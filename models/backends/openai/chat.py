"""LangChain's chat model for OpenAI's protocol, bounded in time and failing in our families.

Imported only when a model is loaded: with the `openai` package it costs 0.8 s and 45 MB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import httpx2
import openai
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from pydantic import PrivateAttr, SecretStr

from config.errors import MotetError
from models.backends.common.checked_chat import CheckedChat
from models.backends.common.network import CONNECT_TIMEOUT_S, PROBE_TIMEOUT_S
from models.backends.common.sampling import for_openai, take_sampling
from models.backends.common.streaming_chat import JSON_SCHEMA
from models.backends.common.transports import TransportFactory
from models.backends.openai.context import ServerContext, counted_tokens
from models.backends.openai.errors import Translator
from models.output.messages import THINKING

COUNTED = ("model", "messages", "tools")
"""Of a request, what makes up its prompt."""


class OpenAIChat(CheckedChat, ChatOpenAI):
    """Streams from `/chat/completions`. `silence_s` bounds the wait for each piece of an answer.

    It never retries: the node that asks has a policy of its own. `sampling` is what the model's
    options say of it, `body` goes into each request as it is.
    """

    foreign: ClassVar[tuple[type[Exception], ...]] = (
        openai.OpenAIError,
        httpx2.HTTPError,
        TimeoutError,
        ValueError,
        TypeError,
    )
    _translate: Translator = PrivateAttr()
    _clients: tuple[httpx2.AsyncClient, httpx2.Client] = PrivateAttr()
    _key: str = PrivateAttr()
    _counter: str | None = PrivateAttr()
    _body: Mapping[str, Any] = PrivateAttr()

    def __init__(
        self,
        *,
        url: str,
        model: str,
        key: str,
        silence_s: float,
        translate: Translator,
        socket: str | None = None,
        context: ServerContext | None = None,
        sampling: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        timeout = httpx2.Timeout(silence_s, connect=CONNECT_TIMEOUT_S)
        transports = TransportFactory(httpx2, url, socket)
        # Own clients: langchain-openai keeps its default ones for the life of the process, longer
        # than the event loop they belong to.
        clients = (
            httpx2.AsyncClient(transport=transports.make("AsyncHTTPTransport"), timeout=timeout),
            httpx2.Client(transport=transports.make("HTTPTransport"), timeout=timeout),
        )
        super().__init__(
            silence_s=silence_s,
            sampling=sampling,
            model=model,
            base_url=url,
            api_key=SecretStr(key),
            timeout=timeout,
            stream_chunk_timeout=0,  # theirs loses cancellations; `CheckedChat` has its own
            max_retries=0,
            use_responses_api=False,
            http_async_client=clients[0],
            http_client=clients[1],
            **options,
        )
        self._translate = translate
        self._clients = clients
        self._key = key
        self._body = body or {}
        self._counter = context.counter if context else None
        if context:
            self.profile = {**(self.profile or {}), **context.profile()}

    async def count_tokens(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> int | None:
        """Count what a prompt takes, as `TokenCounter` promises, where the server can."""
        if self._counter is None:
            return None
        sent, left = self._write_tools(messages, options)
        payload = self._get_request_payload(sent, tools=left.get("tools"))
        body = {name: payload[name] for name in COUNTED if payload.get(name)}
        headers = {"authorization": f"Bearer {self._key}"}
        try:
            answer = await self._clients[0].post(
                self._counter, json=body, headers=headers, timeout=PROBE_TIMEOUT_S
            )
            return None if answer.is_error else counted_tokens(answer.json())
        except (httpx2.HTTPError, ValueError):
            return None  # an estimate will do

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        sampling = for_openai(take_sampling(self._sampling, kwargs, stop))
        body = {**sampling.pop("extra_body"), **kwargs.pop("extra_body", {}), **self._body}
        payload = super()._get_request_payload(input_, **kwargs, **sampling, extra_body=body)
        if isinstance(payload.get("response_format"), dict):
            # Out of the sight of OpenAI's client: it fails at an answer that is cut, and counts the
            # tokens of others twice. A class stays, for the client to read the answer with.
            body["response_format"] = payload.pop("response_format")
        return payload

    async def aclose(self) -> None:
        await self._clients[0].aclose()
        self._clients[1].close()

    def schema_fields(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        # Not by LangChain's conversion, which loses all but objects, and takes titles for names.
        described = {"name": "answer", "schema": schema}
        return {"response_format": {"type": JSON_SCHEMA, JSON_SCHEMA: described}}

    def translate_error(self, error: Exception) -> MotetError:
        return self._translate(error)

    async def explain_loss(self, error: MotetError) -> MotetError:
        return await self._translate.explain_loss(error)

    def incomplete_error(self) -> MotetError:
        return self._translate.cut_short()

    def is_last(self, chunk: ChatGenerationChunk) -> bool:
        return bool((chunk.generation_info or {}).get("finish_reason"))

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], *arguments: Any
    ) -> ChatGenerationChunk | None:
        """Add the thinking that servers send beside the text, which LangChain leaves out."""
        converted = super()._convert_chunk_to_generation_chunk(chunk, *arguments)
        choices = chunk.get("choices") or (chunk.get("chunk") or {}).get("choices")
        delta = (choices[0].get("delta") if choices else None) or {}
        thinking = delta.get("reasoning_content") or delta.get("reasoning")
        if converted and isinstance(thinking, str):
            converted.message.additional_kwargs[THINKING] = thinking
        return converted
