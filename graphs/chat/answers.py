"""From a node's inputs to an answer: plain text with checked citations, or JSON that fits a schema.

Owns the parts that answers consist of, for all node types that ask a chat model. The single
question is `ask`'s, the comparison with passages `checking`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from config.errors import MotetError, Unavailable
from graphs.chat.ask import Answer, BoundChat, answering_model, ask
from graphs.chat.checking import check_answer, score_passages
from graphs.chat.messages import (
    add_to_system,
    attach_pictures,
    attach_threshold,
    build_messages,
)
from graphs.chat.output_schema import OutputSchema
from graphs.chat.sampling import read_sampling
from graphs.compile.node import NodeContext
from graphs.grounding.citations import Unsupported
from models.capabilities.chat import SchemaBinder
from models.lease import MODEL_LOST
from models.text.sentences import end_at_sentence

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

OnCut = Literal["keep", "trim"]
"""What becomes of an answer that is not whole: it stays, or ends at a whole sentence."""
CUT_OFF = "The answer was cut off: write less."
RAISE_BOUND = " It was cut off at its bound of tokens: raise `max_tokens`, or ask for less."
RELEASED = "The model was lost while it was held to the schema: it is asked without."
SAYS_NOTHING = frozenset({"response_empty", "only_thinking"})
"""Codes of answers that may be mended as others that do not fit."""
MAX_REPORTED_CHARS = 2000
"""Of an answer that never fitted its schema; so much stands in the error's details."""


async def answer_in_text(
    inputs: dict[str, Any],
    context: NodeContext,
    unsupported: Unsupported,
    *,
    trust_system: bool = False,
    on_cut: OnCut = "keep",
) -> dict[str, Any]:
    """Ask for plain text, and return its parts, checked against the passages that it cites."""
    messages = await build_messages(inputs, context, trust_system=trust_system)
    messages = await attach_pictures(messages, inputs.get("images"), context)
    messages = await attach_threshold(messages, context)
    answer = await ask(context, str(inputs["model"]), messages, sampling=read_sampling(inputs))
    if answer.cut and on_cut == "trim":
        answer = _end_at_sentence(answer)
    question = messages[-1].additional_kwargs.get("motet")
    parts = await check_parts(answer, context, unsupported, question=question)
    # The embedded reader scores its passages itself; for a language model we do, after its answer.
    if parts["score"] is None and not parts["refused"]:
        parts["score"] = await score_passages(question, context)
    return parts


def _end_at_sentence(answer: Answer) -> Answer:
    text = end_at_sentence(str(answer.message.text))
    return replace(answer, message=answer.message.model_copy(update={"content": text}))


async def check_parts(
    answer: Answer,
    context: NodeContext,
    unsupported: Unsupported = "mark",
    *,
    question: Mapping[str, Any] | None = None,
    uncited: bool = True,
) -> dict[str, Any]:
    """Return an answer's parts, checked against the passages that the prompt cites.

    `question` has its passages with it, where it is known. Without `uncited`, sentences that cite
    nothing are not held against the answer.
    """
    passages = [passage for _, block in context.rendering.cited for passage in block]
    parts = _plain_parts(answer)
    if not passages:
        return parts
    message: AIMessage = parts["message"]
    text, spans = parts["text"], message.response_metadata.get("citations")
    checked = await check_answer(
        text, passages, spans, unsupported, context, question=question, uncited=uncited
    )
    if checked.text != text:
        message = message.model_copy(update={"content": checked.text})
    return {
        **parts,
        "text": checked.text,
        "citations": checked.citations,
        "checks": checked.checks,
        "message": message,
        "refused": parts["refused"] or checked.refused,
        "score": parts["score"] if checked.score is None else checked.score,
    }


def _plain_parts(answer: Answer) -> dict[str, Any]:
    message = answer.message
    metadata = message.response_metadata
    return {
        "text": str(message.text),
        "parsed": None,
        "citations": [],
        "checks": [],
        "message": message,
        "model": answering_model(message),
        "thinking": answer.thinking,
        "cut": answer.cut,
        # The embedded reader tells both; a language model neither.
        "refused": bool(metadata.get("refused")),
        "score": metadata.get("score"),
    }


async def answer_in_json(
    inputs: dict[str, Any],
    context: NodeContext,
    schema: OutputSchema,
    repairs: int,
    *,
    trust_system: bool = False,
) -> dict[str, Any]:
    """Ask until the answer fits a schema, and return its parts with the value `parsed`.

    An answer that does not fit, or says nothing, is sent back with what is wrong, at most `repairs`
    times. Raises `Unavailable` after that: `structured_output_invalid`, or as `ask` does.
    """
    messages = await build_messages(inputs, context, trust_system=trust_system)
    messages = await attach_pictures(messages, inputs.get("images"), context)
    messages = add_to_system(messages, schema.instruction())
    question = _SchemaQuestion(inputs, context, schema)
    for attempt in range(repairs + 1):
        answer, failure = await question.ask(messages)
        text = str(answer.message.text)
        try:
            parsed = await schema.parse(text, cut=bool(answer.cut))
        except ValueError as error:
            reason = str(error)
        else:
            return {**await check_parts(answer, context, "keep"), "parsed": parsed}
        remark = f"{reason} {CUT_OFF}" if answer.cut else reason
        problem = f"The answer does not fit: {remark}"
        context.emit("progress", repair=attempt + 1, message=problem)
        wrong = AIMessage(text.strip() or "(nothing)")
        messages = [*messages, wrong, HumanMessage(schema.repair(remark))]
    raise failure or Unavailable(
        f"'{answering_model(answer.message) or inputs['model']}' did not answer in the form asked "
        f"for, after {repairs} repairs: {reason}{RAISE_BOUND if answer.cut == 'length' else ''}",
        code="structured_output_invalid",
        details={"answer": text[:MAX_REPORTED_CHARS], "reason": reason, "cut": answer.cut},
        permanent=True,
    )


class _SchemaQuestion:
    """Asks a model that is held to a schema, by its back end's means, where it has any.

    Some back ends die of a schema's grammar. Once the model was lost it is held no more.
    """

    def __init__(
        self, inputs: Mapping[str, Any], context: NodeContext, schema: OutputSchema
    ) -> None:
        self._context = context
        self._model = str(inputs["model"])
        self._sampling = read_sampling(inputs)
        self._schema = schema
        self._holds = True

    async def ask(self, messages: Sequence[BaseMessage]) -> tuple[Answer, MotetError | None]:
        """Return an answer, with the error of one that says nothing. Raises as `ask` does."""
        try:
            return await self._ask(messages), None
        except Unavailable as error:
            if error.code in SAYS_NOTHING:
                return Answer(AIMessage(""), cut=error.details.get("cut", "")), error
            if error.code not in MODEL_LOST or not self._holds:
                raise
        self._release()  # it was lost within its answer
        return await self.ask(messages)

    async def _ask(self, messages: Sequence[BaseMessage]) -> Answer:
        return await ask(
            self._context,
            self._model,
            messages,
            self._bind,
            sampling=self._sampling,
            on_lost=self._release,
        )

    def _bind(self, chat: BaseChatModel) -> BoundChat:
        self._holds = self._holds and isinstance(chat, SchemaBinder)
        if self._holds and isinstance(chat, SchemaBinder):
            return chat.bind_schema(self._schema.schema)
        return chat

    def _release(self) -> None:
        if self._holds:
            self._holds = False
            self._context.emit("progress", message=RELEASED)
