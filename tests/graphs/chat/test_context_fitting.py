"""A prompt fitted to the context of the leased model, within a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from pydantic import Field

from config.errors import Invalid
from tests.support.graph_runs import Transcript, agent_of_yaml, run
from tests.support.graphs import FakeModels, ScriptedChat, context

TALKING = """\
input: {messages: messages}
nodes:
  answer: {type: text, system: Be brief., messages: "{{ messages }}", save: answer}
output: [answer]
"""
CITING = """\
input: {passages: list}
nodes:
  answer: {type: text, prompt: "{{ passages | cite }}\\n\\nQuestion: Why?", save: answer}
output: [answer]
"""
PASSAGES = [{"id": str(n), "title": "T", "text": f"passage {n} " * 60} for n in range(8)]


def talk(turns: int) -> list[dict[str, str]]:
    said = []
    for number in range(turns):
        said.append({"role": "user", "content": f"question {number} " * 20})
        said.append({"role": "assistant", "content": f"answer {number} " * 20})
    return [*said, {"role": "user", "content": "And now?"}]


class SmallChat(ScriptedChat):
    """A model that takes a token for every letter, and refuses what is longer than its context."""

    answers: list[Any] = Field(default_factory=lambda: ["fine"])
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    bound: list[list[dict[str, Any]]] = Field(default_factory=list)
    context: int = 2000
    tells: bool = True
    """Whether a refusal has numbers."""
    refused: int = 0

    def _next(self, messages: list[BaseMessage]) -> Any:
        tokens = count(messages)
        if tokens > self.context:
            self.refused += 1
            numbers = {"tokens": tokens, "context": self.context} if self.tells else {}
            raise Invalid("too long", code="context_overflow", details=numbers)
        return super()._next(messages)


class CountingChat(SmallChat):
    """A small model that also counts."""

    counts: int = 0

    async def count_tokens(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> int | None:
        self.counts += 1
        return count(messages)


class BreakingChat(SmallChat):
    """A model whose context is full in the middle of its answer."""

    context: int = 100_000

    async def _astream(self, messages: list[BaseMessage], *more: Any, **kwargs: Any) -> Any:
        async for chunk in super()._astream(messages, *more, **kwargs):
            yield chunk
            raise Invalid("the context is full", code="context_overflow")


def count(messages: Sequence[BaseMessage]) -> int:
    return sum(len(str(message.text)) for message in messages)


async def say(model: SmallChat, yaml: str, **input: Any) -> Transcript:
    return await run(agent_of_yaml(yaml), input, context(models=FakeModels({"chat": model})))


def warnings(transcript: Transcript) -> list[Mapping[str, Any]]:
    return [each for each in transcript.kinds("warning") if each["code"] == "prompt_shortened"]


async def test_a_conversation_that_fits_is_sent_whole_and_nothing_is_counted() -> None:
    model = CountingChat(context=100_000, profile={"max_input_tokens": 100_000})

    transcript = await say(model, TALKING, messages=talk(3))

    assert len(model.asked[0]) == 8
    assert model.counts == 0
    assert warnings(transcript) == []


async def test_a_model_that_counts_is_asked_and_refuses_nothing() -> None:
    model = CountingChat(profile={"max_input_tokens": 2000})

    transcript = await say(model, TALKING, messages=talk(20))

    assert (model.counts, model.refused) == (1, 0)
    assert transcript.output["answer"] == "fine"
    assert [each["messages"] for each in warnings(transcript)] == [42 - len(model.asked[0])]


@pytest.mark.parametrize("profile", [None, {"max_input_tokens": 2000}])
async def test_a_refused_prompt_is_sent_again_with_less(profile: Any) -> None:
    model = SmallChat(profile=profile)

    transcript = await say(model, TALKING, messages=talk(20))

    assert model.refused == 1
    assert 4 < len(model.asked[0]) < 20
    assert warnings(transcript)[-1]["messages"] == 42 - len(model.asked[0])
    assert warnings(transcript)[-1]["context"] == 2000


async def test_less_is_tried_where_a_refusal_has_no_numbers() -> None:
    model = SmallChat(tells=False, context=4000)

    await say(model, TALKING, messages=talk(20))

    assert 0 < model.refused < 4
    assert 2 < len(model.asked[0]) < 20


async def test_room_is_kept_for_the_answer() -> None:
    model = CountingChat(profile={"max_input_tokens": 2000})

    await say(model, TALKING, messages=talk(20))

    assert count(model.asked[0]) <= 1500


async def test_a_question_that_does_not_fit_by_itself_is_refused_as_it_is() -> None:
    model = SmallChat(profile={"max_input_tokens": 2000})
    question = {"role": "user", "content": "long " * 1000}

    with pytest.raises(Invalid) as caught:
        await say(model, TALKING, messages=[*talk(3), question])

    assert caught.value.code == "context_overflow"
    assert caught.value.details["tokens"] > caught.value.details["context"]


async def test_readers_are_told_how_many_passages_did_not_fit() -> None:
    model = CountingChat(profile={"max_input_tokens": 3000}, context=3000)

    transcript = await say(model, CITING, passages=PASSAGES)

    text = str(model.asked[0][-1].text)
    shown = sum(f"[{n}] T: passage" in text for n in range(1, 9))
    assert 0 < shown < 8
    assert warnings(transcript)[0]["passages"] == 8 - shown
    assert f"the last {8 - shown} passages" in warnings(transcript)[0]["message"]
    assert text.endswith("Question: Why?")


async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    model = BreakingChat()

    with pytest.raises(Invalid, match="the context is full"):
        await say(model, TALKING, messages=talk(3))

    assert len(model.asked) == 1
