"""A causal model in a worker, as a LangChain chat model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from config.errors import Unavailable
from models.backends.common.batches import readable
from models.backends.transformers.calls import CallReader, ToolCall
from models.backends.transformers.messages import conversation
from models.backends.transformers.model import TransformersModel
from models.backends.transformers.options import ChatOptions

SAMPLING = ("temperature", "top_p", "top_k", "max_tokens", "seed")


class TransformersChat(BaseChatModel):
    """Streams tokens as the worker writes them; giving a stream up stops the worker.

    `temperature`, `top_p`, `top_k`, `max_tokens`, `seed` and `stop` can be given with each call
    or bound; as they come they are those of models.yaml. Raises `Invalid` ("context_overflow",
    "capability_unsupported") and what the worker raises. Tools only where the model's chat
    template has a place for them, else `NotImplementedError`; so for `with_structured_output`.
    """

    name: str | None = "transformers"
    _model: TransformersModel = PrivateAttr()
    _options: ChatOptions = PrivateAttr()
    _about: Mapping[str, Any] = PrivateAttr()

    def __init__(
        self, model: TransformersModel, name: str, options: ChatOptions, about: Mapping[str, Any]
    ) -> None:
        super().__init__(name=name, profile={"image_inputs": False})
        self._model = model
        self._options = options
        self._about = about

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
        if not self._about["tools"]:
            raise NotImplementedError(
                f"The chat template of '{self.name}' has no place for tools: it cannot call any."
            )
        if tool_choice not in (None, "auto"):
            raise NotImplementedError(f"'{self.name}' cannot be made to call a certain tool.")
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        raise NotImplementedError(
            f"'{self.name}' cannot be held to a schema; ask for JSON in the prompt."
        )

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        asked = conversation(self.name or "", messages)
        for message in asked:  # half a character cannot cross to the worker
            message["content"] = readable([message["content"]], len(message["content"]))[0]
        tools = kwargs.get("tools")
        request = {"messages": asked, "tools": tools, **self._sampling(stop, kwargs)}
        reader = CallReader() if tools else None
        stream = self._model.ask("write", request)
        async with aclosing(stream) as replies:
            async for reply in replies:
                text = reply.header.get("text", "")
                if shown := reader.feed(text) if reader else text:
                    yield _chunk(shown)
                if reply.last:
                    for chunk in self._last(reader, reply.header):
                        yield chunk

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
        raise Unavailable(
            f"'{self.name}' answers only asynchronously: use `ainvoke` or `astream`.",
            code="async_only",
            permanent=True,
        )

    def _sampling(self, stop: list[str] | None, given: Mapping[str, Any]) -> dict[str, Any]:
        own = self._options.model_dump()
        chosen = {name: own[name] if given.get(name) is None else given[name] for name in SAMPLING}
        return {**chosen, "stop": [*self._options.stop, *(stop or ())]}

    def _last(
        self, reader: CallReader | None, told: Mapping[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        """What was held back, then how the answer ended and what it cost."""
        rest, calls = reader.end() if reader else ("", [])
        if rest:
            yield _chunk(rest)
        why = "tool_calls" if calls else told["finish_reason"]
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                tool_call_chunks=[_call_chunk(n, call) for n, call in enumerate(calls)],
                response_metadata={"model_name": self.name, "finish_reason": why},
                usage_metadata=_usage(told),
                chunk_position="last",
            ),
            generation_info={"finish_reason": why},
        )


def _chunk(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


def _call_chunk(number: int, call: ToolCall) -> Any:
    # JSON in text, because LangChain joins the chunks of a call by adding their texts.
    return tool_call_chunk(
        name=call.name,
        args=json.dumps(call.arguments),
        id=f"call_{uuid4().hex[:24]}",
        index=number,
    )


def _usage(told: Mapping[str, Any]) -> UsageMetadata:
    asked, written = int(told["input_tokens"]), int(told["output_tokens"])
    return UsageMetadata(input_tokens=asked, output_tokens=written, total_tokens=asked + written)
