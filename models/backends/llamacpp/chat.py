"""A chat model that llama.cpp serves in a worker of ours, as a LangChain chat model.

Imported only when a model is loaded, as `models.backends.openai.chat` is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from models.backends.common.sampling import dump_sampling
from models.backends.llamacpp.options import LlamaCppChatOptions
from models.backends.openai.chat import OpenAIChat
from models.backends.openai.context import ServerContext
from models.capabilities.prompt_progress import PromptProgress
from models.capabilities.sampling import default_max_tokens


class LlamaCppChat(OpenAIChat):
    """Streams from llama.cpp, when one of its slots is this caller's.

    Callers wait here, not in llama.cpp: there their wait would count as its silence. While a long
    prompt is read there are chunks of the class `PromptProgress`.
    """

    _slots: asyncio.Semaphore = PrivateAttr()

    def __init__(
        self,
        options: LlamaCppChatOptions,
        slots: asyncio.Semaphore,
        context: ServerContext,
        **fields: Any,
    ) -> None:
        super().__init__(
            context=context,
            sampling={
                "max_tokens": default_max_tokens(context.tokens),
                **dump_sampling(options),
            },
            body={**options.own_fields(), "return_progress": True},
            stream_usage=True,
            **fields,
        )
        self._slots = slots

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with self._slots:
            stream = super()._astream(messages, stop, run_manager, **kwargs)
            async with aclosing(stream) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    yield chunk

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: Any
    ) -> ChatGenerationChunk | None:
        if progress := chunk.get("prompt_progress"):
            return _progress_chunk(progress)
        return super()._convert_chunk_to_generation_chunk(
            chunk, default_chunk_class, base_generation_info
        )


def _progress_chunk(progress: dict[str, Any]) -> ChatGenerationChunk | None:
    """Return the chunk of a prompt that is read in part; None at its beginning and its end."""
    processed, total = int(progress["processed"]), int(progress["total"])
    if not int(progress["cache"]) < processed < total:
        return None
    return ChatGenerationChunk(message=PromptProgress(content="", processed=processed, total=total))
