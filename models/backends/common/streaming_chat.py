"""LangChain chat models that always stream, so that every wait is one for the next piece.

What a language model writes is read on the way by `models.output`: thinking, calls of tools and
loops are found alike on every back end. Tools of a model that takes none are written into its
prompt by `written_tools`. Schemas are bound alike too: `JSON_SCHEMA` names one among the options of
a call, whatever the back end calls it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

from config.errors import Unavailable
from models.backends.common.written_tools import TOOL_CALLING, TOOL_OPTIONS, write_tools
from models.output.answer_reader import AnswerReader
from models.output.messages import finish_message, finish_reason

JSON_SCHEMA = "json_schema"
"""The option of a call that holds its answer to a schema."""
FORMATS = (JSON_SCHEMA, "format", "response_format")
"""The options of calls whose answers are JSON."""


class StreamingChat(BaseChatModel):
    """Base of a chat model whose whole answer is what it streams, put together."""

    _may_be_open: bool = PrivateAttr(default=False)
    """Whether the last answer began as thinking, whose opening tag stood in the prompt."""

    @property
    def takes_tools(self) -> bool:
        """Whether the model's server is given tools; else they are written into the prompt."""
        return (self.profile or {}).get(TOOL_CALLING) is not False

    def _write_tools(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return the messages and the options of a call as the model's server takes them."""
        if self.takes_tools:
            return list(messages), dict(options)
        left = {name: value for name, value in options.items() if name not in TOOL_OPTIONS}
        return write_tools(messages, options.get("tools") or ()), left

    def bind_schema(self, schema: Mapping[str, Any]) -> Runnable[Any, Any]:
        """Hold answers to a schema, as `SchemaBinder` promises."""
        return self.bind(**{JSON_SCHEMA: dict(schema)})

    def _open_reader(self, options: Mapping[str, Any]) -> AnswerReader:
        """Return a reader for one answer, asked for with these options of a call."""
        return AnswerReader(
            options.get("tools") or (),
            is_format=any(map(options.get, FORMATS)),
            may_be_open=self._may_be_open,
        )

    def _close_reader(self, reader: AnswerReader) -> None:
        self._may_be_open = reader.was_open

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        stream = self._astream(messages, stop, run_manager, **kwargs)
        return finish_result(await agenerate_from_stream(stream))


def read_chunk(
    reader: AnswerReader, chunk: ChatGenerationChunk, *, last: bool
) -> Iterator[ChatGenerationChunk]:
    """Yield what a reader makes of a chunk; the chunk's own information goes with the last."""
    message = chunk.message
    if not isinstance(message, AIMessageChunk):
        yield chunk
        return
    reason = finish_reason(chunk.generation_info or {}) or ("stop" if last else "")
    *before, rest = reader.read(message, reason)
    for each in before:
        yield ChatGenerationChunk(message=each)
    yield (
        chunk
        if rest is message
        else ChatGenerationChunk(message=rest, generation_info=chunk.generation_info)
    )


def finish_result(result: ChatResult) -> ChatResult:
    """Return a whole answer as `finish_message` leaves it."""
    generations = [
        ChatGeneration(message=finish_message(each.message), generation_info=each.generation_info)
        if isinstance(each.message, AIMessage)
        else each
        for each in result.generations
    ]
    return result.model_copy(update={"generations": generations})


class AsyncChat(StreamingChat):
    """Base of our own chat models, which answer asynchronously alone.

    A subclass gives `_answer`. Asked synchronously it raises `Unavailable` (`async_only`).
    """

    quotes: ClassVar[bool] = False
    """Whether it quotes texts alone, in which nothing is to be read."""

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
        async with aclosing(self._answer(messages, stop, kwargs)) as answer:
            async with aclosing(answer if self.quotes else self._read(answer, kwargs)) as chunks:
                async for chunk in chunks:
                    # Given by `_agenerate` alone; in a stream LangChain reports each chunk itself.
                    if run_manager:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def _read(
        self, answer: AsyncIterator[ChatGenerationChunk], options: Mapping[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        reader = self._open_reader(options)
        async for chunk in answer:
            for each in read_chunk(reader, chunk, last=False):
                yield each
            if reader.kept_chars is not None:
                yield ChatGenerationChunk(message=reader.end_loop())
                break
        for message in reader.end():
            yield ChatGenerationChunk(message=message)
        self._close_reader(reader)

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
