"""What of a prompt a model is shown where not all of it fits its context. Pure.

Owns what is left out, in this order:

1. earlier turns of the conversation, the oldest first, each as a whole, so that no tool's result
   loses its call;
2. passages that the prompt cites, from the last on; the first stays;
3. the ends of other texts between marks (documents, results of tools), the longest first.

Invariants: a system message and what the last turn says is never cut. Where turns are left out, it
is some more than must be, so that the conversation begins alike for several turns: a server keeps
what it has read of a prompt up to where it changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage

from graphs.chat.conversation import is_standing
from models.text.tokens import estimate_message, estimate_tokens
from models.text.turns import choose_first

CUT_OFF = "… (cut off)"
MIN_TEXT_TOKENS = 50
"""What stays of a text that is shortened."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a model is not shown: messages of earlier turns, passages, ends of texts."""

    messages: int = 0
    passages: int = 0
    texts: int = 0


@dataclass(frozen=True)
class Prompt:
    """What a model is to be shown.

    `passages` are written in the messages just so. `mark` stands around texts of others, which may
    be shortened.
    """

    messages: Sequence[BaseMessage]
    passages: Sequence[str] = ()
    mark: str = ""
    left_out: LeftOut = LeftOut()

    @property
    def tokens(self) -> int:
        """How many tokens it takes, estimated."""
        return sum(map(estimate_message, self.messages))


def fit_prompt(prompt: Prompt, room: int) -> Prompt:
    """Leave out of a prompt what must be for it to take `room` tokens.

    Where even its least takes more, that is returned.
    """
    for leave_out in (_leave_out_turns, _leave_out_passages, _shorten_texts):
        if (over := prompt.tokens - room) > 0:
            prompt = leave_out(prompt, over)
    return prompt


def _leave_out_turns(prompt: Prompt, over: int) -> Prompt:
    turns = _earlier_turns(prompt.messages)
    counts = [sum(map(estimate_message, turn)) for turn in turns]
    first = choose_first(reversed(counts), len(counts), sum(counts) - over)
    dropped = {id(message) for turn in turns[:first] for message in turn}
    rest = [message for message in prompt.messages if id(message) not in dropped]
    return replace(prompt, messages=rest, left_out=replace(prompt.left_out, messages=len(dropped)))


def _earlier_turns(messages: Sequence[BaseMessage]) -> list[list[BaseMessage]]:
    """Group what may be left out, all before the last turn, by who began it."""
    starts = [number for number, _ in enumerate(messages) if _begins_turn(messages, number)]
    bounds = [0, *starts] if starts else [0, len(messages) - 1]
    turns = [messages[start:end] for start, end in pairwise(bounds)]
    droppable = [[each for each in turn if not _stays(each)] for turn in turns]
    return [turn for turn in droppable if turn]


def _begins_turn(messages: Sequence[BaseMessage], number: int) -> bool:
    """Tell whether a person begins a turn here; behind a tool's result the turn goes on."""
    message = messages[number]
    follows_tool = number > 0 and isinstance(messages[number - 1], ToolMessage)
    return isinstance(message, HumanMessage) and not (follows_tool or is_standing(message))


def _stays(message: BaseMessage) -> bool:
    return isinstance(message, SystemMessage) or is_standing(message)


def _leave_out_passages(prompt: Prompt, over: int) -> Prompt:
    messages, shown = list(prompt.messages), list(prompt.passages)
    while over > 0 and len(shown) > 1:
        passage = shown.pop()
        for number, message in enumerate(messages):
            if passage in str(message.text):
                messages[number] = _replace_text(message, f"\n\n{passage}", "", passage)
                over -= estimate_tokens(passage)
                break
    left_out = len(prompt.passages) - len(shown)
    return replace(
        prompt,
        messages=messages,
        passages=shown,
        left_out=replace(prompt.left_out, passages=left_out),
    )


def _replace_text(message: BaseMessage, old: str, new: str, otherwise: str = "") -> BaseMessage:
    """Replace the first `old` in a message's text; where it has none, `otherwise`."""

    def replace_in(text: str) -> str:
        return text.replace(old if old in text else otherwise or old, new, 1)

    if isinstance(message.content, str):
        return message.model_copy(update={"content": replace_in(message.content)})
    parts = [
        {**part, "text": replace_in(part["text"])}
        if isinstance(part, dict) and part.get("type") == "text"
        else part
        for part in message.content
    ]
    return message.model_copy(update={"content": parts})


def _shorten_texts(prompt: Prompt, over: int) -> Prompt:
    """Cut what is too long, and of several texts the longest, to one and the same length."""
    marked = re.compile(
        rf"(?<=<<foreign {re.escape(prompt.mark)}>>\n).*?(?=\n<<end {re.escape(prompt.mark)}>>)",
        re.DOTALL,
    )
    texts = [
        (n, text)
        for n, each in enumerate(prompt.messages)
        for text in marked.findall(str(each.text))
    ]
    counts = [estimate_tokens(text) for _, text in texts]
    most = max(MIN_TEXT_TOKENS, _level(counts, sum(counts) - over))
    messages, shortened = list(prompt.messages), 0
    for (number, text), tokens in zip(texts, counts, strict=True):
        if tokens > most:
            cut = text[: len(text) * most // tokens] + CUT_OFF
            messages[number] = _replace_text(messages[number], text, cut)
            shortened += 1
    return replace(prompt, messages=messages, left_out=replace(prompt.left_out, texts=shortened))


def _level(counts: Sequence[int], room: int) -> int:
    """Return the length to which the longer ones must be cut, so that all of them fit."""
    left = max(room, 0)
    for number, count in enumerate(sorted(counts)):
        share = left // (len(counts) - number)
        if count > share:
            return share
        left -= count
    return max(counts, default=0)
