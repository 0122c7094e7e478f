"""A causal model in a worker, as a LangChain chat model."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.output_parsers import (
    BaseOutputParser,
    JsonOutputParser,
    PydanticOutputParser,
)
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import PrivateAttr

from models.backends.common.batches import readable
from models.backends.common.sampling import dump_sampling, for_worker, take_sampling
from models.backends.common.streaming_chat import JSON_SCHEMA, AsyncChat
from models.backends.common.worker_model import SerialWorkerModel
from models.backends.common.written_tools import TOOL_CALLING
from models.backends.transformers.messages import conversation
from models.backends.transformers.options import TransformersChatOptions
from models.capabilities.sampling import default_max_tokens

CACHE_SCOPE = "cache_scope"
"""The option of a call that says among which prompts a beginning may be shared."""

log = logging.getLogger(__name__)


class TransformersChat(AsyncChat):
    """Streams tokens as the worker writes them; giving a stream up stops the worker.

    Raises `Invalid` ("context_overflow", "capability_unsupported") and what the worker raises.
    The worker holds answers to schemas.
    """

    name: str | None = "transformers"
    _model: SerialWorkerModel = PrivateAttr()
    _options: TransformersChatOptions = PrivateAttr()

    def __init__(
        self,
        model: SerialWorkerModel,
        name: str,
        options: TransformersChatOptions,
        about: Mapping[str, Any],
    ) -> None:
        profile = {"max_input_tokens": about["context"], TOOL_CALLING: about["tools"]}
        super().__init__(name=name, profile={"image_inputs": False, **profile})
        self._model = model
        self._options = options

    @property
    def _llm_type(self) -> str:
        return "motet-transformers"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[Any, Any]:
        if tool_choice not in (None, "auto"):
            raise NotImplementedError(f"'{self.name}' cannot be made to call a certain tool.")
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        """Hold answers to a schema, or a class that has one, and read their JSON."""
        parser: BaseOutputParser[Any] = JsonOutputParser()
        if isinstance(schema, type) and is_basemodel_subclass(schema):
            parser = PydanticOutputParser(pydantic_object=schema)
        if not isinstance(schema, Mapping):
            schema = convert_to_json_schema(schema)
        return self.bind_schema(schema) | parser

    def scope_fields(self, scope: str) -> dict[str, Any]:
        """Return the option by which `PromptCacher` asks for it."""
        return {CACHE_SCOPE: scope}

    async def _answer(
        self, messages: list[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        prompt, sampling = self._prompt(messages, options), self._sampling(stop, options)
        request = {
            **prompt,
            **sampling,
            "schema": options.get(JSON_SCHEMA),
            "scope": options.get(CACHE_SCOPE),
        }
        async with aclosing(self._model.ask("write", request)) as replies:
            async for reply in replies:
                if text := reply.header.get("text"):
                    yield ChatGenerationChunk(message=AIMessageChunk(content=text))
                if reply.last:
                    if loosened := reply.header["loosened"]:
                        log.debug("'%s' is not held to all of a schema: %s", self.name, loosened)
                    yield self._last_chunk(reply.header)

    async def count_tokens(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> int | None:
        """Count what a prompt takes, as `TokenCounter` promises; waits for the worker's turn."""
        async with aclosing(self._model.ask("count", self._prompt(messages, options))) as replies:
            async for reply in replies:
                return int(reply.header["tokens"])
        return None

    def _prompt(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        sent, left = self._write_tools(messages, options)
        turns = conversation(self.name or "", sent)
        for turn in turns:  # half a character cannot cross to the worker
            turn["content"] = readable([turn["content"]], len(turn["content"]))[0]
        return {"messages": turns, "tools": left.get("tools")}

    def _sampling(self, stop: list[str] | None, options: Mapping[str, Any]) -> dict[str, Any]:
        chosen = take_sampling(dump_sampling(self._options), dict(options), stop)
        context = (self.profile or {}).get("max_input_tokens")
        return for_worker({"max_tokens": default_max_tokens(context), **chosen})

    def _last_chunk(self, ending: Mapping[str, Any]) -> ChatGenerationChunk:
        """Return the chunk that tells how the answer ended and what it cost."""
        reason = ending["finish_reason"]
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                response_metadata={"model_name": self.name, "finish_reason": reason},
                usage_metadata=_usage(ending),
                chunk_position="last",
            ),
            generation_info={"finish_reason": reason},
        )


def _usage(ending: Mapping[str, Any]) -> UsageMetadata:
    read, written = int(ending["input_tokens"]), int(ending["output_tokens"])
    return UsageMetadata(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        input_token_details=InputTokenDetails(cache_read=int(ending["cached_tokens"])),
    )
