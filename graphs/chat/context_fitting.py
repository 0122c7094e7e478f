"""Fitting a prompt to the context of the model that is leased for it, within a run.

Owns how much room a prompt has, the model's own count of tokens where it has one, and the warnings
that say what was left out; what that is, is decided by the pure `context_window`. Invariant: a
prompt that is near the limit by our estimate is counted by the model itself, where it can.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig

from config.errors import MotetError
from graphs.chat.context_window import LeftOut, Prompt, fit_prompt
from graphs.chat.foreign import MARKERS
from graphs.compile.node import NodeContext
from graphs.templates.filters import number_passage
from models.capabilities.chat import Chat, TokenCounter
from models.text.tokens import estimate_tokens

OVERFLOW = "context_overflow"
MAX_TRIES = 4
ANSWER_TOKENS = 1024
"""Kept free for an answer whose length nobody bounds; at most `ANSWER_SHARE` of the context."""
ANSWER_SHARE = 0.25
BOUNDED_ANSWER_SHARE = 0.5
NEAR = 0.75
"""Of the room: an estimate below it is taken for certain."""
LESS = 0.7
"""Of a prompt that was too long, where nobody says by how much."""
SAFE = 0.97
"""Of the room, for a prompt whose tokens were counted when it was longer."""


async def stream_fitted(
    bound: Runnable[Any, Any],
    chat: Chat,
    messages: Sequence[BaseMessage],
    config: RunnableConfig,
    context: NodeContext,
) -> AsyncGenerator[Any, None]:
    """Stream a model's answer to what of the messages fits its context.

    `bound` is the leased `chat` with what is bound to it. A model that refuses the prompt as too
    long is asked again with less. Close the stream to give up. Raises as the model does.
    """
    fitter = ContextFitter(messages, chat, getattr(bound, "kwargs", {}), context)
    sent: list[BaseMessage] | None = await fitter.fit()
    while sent is not None:
        begun = False
        try:
            # LangChain's `astream` is an async generator; its type does not say so.
            async with aclosing(bound.astream(sent, config)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    if not begun:
                        fitter.warn()
                    begun = True
                    yield chunk
            return
        except MotetError as error:
            sent = None if begun else fitter.shrink(error)
            if sent is None:
                raise


class ContextFitter:
    """One prompt and the leased model that it is for.

    `options` are those bound to the model for this answer: tools, bounds.
    """

    def __init__(
        self,
        messages: Sequence[BaseMessage],
        chat: Chat,
        options: Mapping[str, Any],
        context: NodeContext,
    ) -> None:
        self._chat = chat
        self._options = options
        self._context = context
        self._whole = Prompt(messages, _passages(context), context.mark)
        self._sent = self._whole
        self._tools = estimate_tokens(json.dumps(options["tools"])) if options.get("tools") else 0
        self._limit: int | None = (getattr(chat, "profile", None) or {}).get("max_input_tokens")
        self._scale = 1.0
        """Tokens of the model for one of ours."""
        self._tries = 1

    async def fit(self) -> list[BaseMessage]:
        """Return the messages, without what does not fit. Asks the model's own tokenizer."""
        if self._limit is None:
            return list(self._whole.messages)
        estimate = self._estimate(self._whole)
        is_near = estimate > NEAR * self._room(self._limit)
        if is_near and (count := await self._count()):
            self._scale = count / estimate
        return self._fit(self._room(self._limit))

    def shrink(self, error: MotetError) -> list[BaseMessage] | None:
        """Return less than was refused with "context_overflow"; None where that cannot be."""
        if error.code != OVERFLOW or self._tries == MAX_TRIES:
            return None
        self._tries += 1
        before = self._sent.tokens
        tokens, limit = error.details.get("tokens"), error.details.get("context") or self._limit
        if tokens and limit:
            self._limit = min(limit, self._limit or limit)
            self._scale = max(self._scale, tokens / self._estimate(self._sent))
            room = SAFE * self._room(self._limit)
        else:
            room = LESS * self._scale * self._estimate(self._sent)
        messages = self._fit(room)
        return messages if self._sent.tokens < before else None

    def _fit(self, room: float) -> list[BaseMessage]:
        self._sent = fit_prompt(self._whole, int(room / self._scale) - self._tools)
        return list(self._sent.messages)

    def _estimate(self, prompt: Prompt) -> int:
        return prompt.tokens + self._tools

    def _room(self, limit: int) -> float:
        """Return what a context has for the prompt, beside the answer."""
        if bound := self._options.get("max_tokens"):
            return limit - min(float(bound), BOUNDED_ANSWER_SHARE * limit)
        return limit - min(ANSWER_TOKENS, ANSWER_SHARE * limit)

    async def _count(self) -> int | None:
        if not isinstance(self._chat, TokenCounter):
            return None
        return await self._chat.count_tokens(self._whole.messages, self._options)

    def warn(self) -> None:
        """Tell the run's readers what the model was not shown."""
        left_out = self._sent.left_out
        if left_out == LeftOut():
            return
        self._context.emit(
            "warning",
            code="prompt_shortened",
            message=f"Not all of the prompt fits the model's context: {describe(left_out)}.",
            context=self._limit,
            messages=left_out.messages,
            passages=left_out.passages,
            texts=left_out.texts,
        )


def describe(left_out: LeftOut) -> str:
    """Write what was left out, in words."""
    words = {
        f"{left_out.messages} earlier messages are left out": left_out.messages,
        f"the last {left_out.passages} passages are left out": left_out.passages,
        f"{left_out.texts} texts are cut off at their end": left_out.texts,
    }
    return ", ".join(each for each, count in words.items() if count)


def _passages(context: NodeContext) -> list[str]:
    """List the passages that the node's prompt cites, as they stand in its messages."""
    all_cited = [(block, each) for block, passages in context.rendering.cited for each in passages]
    # Without a block they are results of tools, which are shortened as texts.
    return [
        MARKERS.sub("< <", number_passage(number, passage))
        for number, (block, passage) in enumerate(all_cited, 1)
        if block
    ]
