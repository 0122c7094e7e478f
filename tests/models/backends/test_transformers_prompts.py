"""What a chat model in a worker keeps of prompts that it has read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from models.backends.transformers.chat import TransformersChat
from models.driver import Driver
from tests.support.tiny.models import SMALL, loaded, opened, spec

SYSTEM = SystemMessage("You write stories for picture books, in short and plain sentences.")
STORY = HumanMessage("Write a story about a red circle on a long way to the blue sea.")
OTHER = HumanMessage("Describe the picture for this scene: a green star on a black ground.")
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
BOUND = {"temperature": 0, "max_tokens": 40}


@pytest.fixture(scope="module")
async def driver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Driver]:
    async with opened("transformers", tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture
async def teller(driver: Driver) -> AsyncIterator[TransformersChat]:
    async with loaded(driver, spec("transformers", "chat", SMALL / "storyteller")) as found:
        yield cast(TransformersChat, found.capability)


async def ask(
    chat: TransformersChat, messages: Sequence[BaseMessage], scope: str | None = "a", **options: Any
) -> AIMessage:
    scoped = chat.scope_fields(scope) if scope else {}
    return cast(AIMessage, await chat.ainvoke(list(messages), **{**BOUND, **options}, **scoped))


def known_tokens(answer: AIMessage) -> int:
    """How much of its prompt had been read before."""
    assert answer.usage_metadata
    return answer.usage_metadata["input_token_details"]["cache_read"]


def prompt_tokens(answer: AIMessage) -> int:
    assert answer.usage_metadata
    return answer.usage_metadata["input_tokens"]


async def test_next_turn_reads_only_what_is_new(teller: TransformersChat) -> None:
    first = await ask(teller, [SYSTEM, STORY])
    talk = [SYSTEM, STORY, first, HumanMessage("And a friend?")]

    second = await ask(teller, talk)

    assert known_tokens(first) == 0
    assert known_tokens(second) >= prompt_tokens(first) - 1
    assert second.text == (await ask(teller, talk, scope=None)).text


async def test_answers_are_the_same_with_and_without_what_is_kept(
    teller: TransformersChat,
) -> None:
    """The same prompt again, longer ones, shorter ones, and others that only begin alike."""
    words = [f"Write a story about a {colour} circle." for colour in ("red", "blue", "red")]
    talk: list[BaseMessage] = [SYSTEM]
    known = []
    for word in [*words, words[0]]:
        talk = [*talk, HumanMessage(word)]
        for asked in (talk, talk, [SYSTEM, HumanMessage(word)], talk[:2]):
            kept = await ask(teller, asked)
            known.append(known_tokens(kept))
            assert kept.text == (await ask(teller, asked, scope=None)).text
        talk.append(kept)
    assert known[0] == 0
    assert all(known[1:])


async def test_a_schema_holds_for_a_prompt_that_is_known(teller: TransformersChat) -> None:
    await ask(teller, [SYSTEM, STORY])

    held = await ask(teller, [SYSTEM, STORY], json_schema=SCHEMA, max_tokens=100)

    assert known_tokens(held) == prompt_tokens(held) - 1
    assert json.loads(held.text)["colour"] in ("red", "blue")


async def test_what_one_tenant_has_read_serves_no_other(teller: TransformersChat) -> None:
    await ask(teller, [SYSTEM, STORY], scope="a")

    assert known_tokens(await ask(teller, [SYSTEM, STORY], scope="b")) == 0
    assert known_tokens(await ask(teller, [SYSTEM, STORY], scope=None)) == 0
    assert known_tokens(await ask(teller, [SYSTEM, STORY], scope="a")) > 0


async def test_a_prompt_that_begins_alike_leaves_the_other_as_it_is(
    teller: TransformersChat,
) -> None:
    await ask(teller, [SYSTEM, STORY])
    branch = await ask(teller, [SYSTEM, OTHER])

    again = await ask(teller, [SYSTEM, STORY])

    assert 0 < known_tokens(branch) < prompt_tokens(branch) - 1
    assert known_tokens(again) == prompt_tokens(again) - 1


async def test_an_answer_that_was_given_up_leaves_its_prompt(teller: TransformersChat) -> None:
    stream = teller.astream([SYSTEM, STORY], **BOUND, **teller.scope_fields("a"))
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        await anext(pieces)

    again = await ask(teller, [SYSTEM, STORY])

    assert known_tokens(again) == prompt_tokens(again) - 1
    assert again.text == (await ask(teller, [SYSTEM, STORY], scope=None)).text


async def test_the_longest_unused_goes_first_where_the_bound_is_reached(driver: Driver) -> None:
    """A mebibyte holds 341 tokens of the storyteller."""
    model = spec("transformers", "chat", SMALL / "storyteller", prompt_cache_mib=1)
    first, second = (HumanMessage(f"{word} " * 150) for word in ("circle", "star"))
    async with loaded(driver, model) as found:
        teller = cast(TransformersChat, found.capability)
        await ask(teller, [first])
        assert known_tokens(await ask(teller, [first])) > 100

        await ask(teller, [second])

        assert known_tokens(await ask(teller, [first])) < 20


async def test_of_a_prompt_beyond_the_bound_the_beginning_is_kept(driver: Driver) -> None:
    model = spec("transformers", "chat", SMALL / "storyteller", prompt_cache_mib=1)
    async with loaded(driver, model) as found:
        teller = cast(TransformersChat, found.capability)
        long = [HumanMessage("circle star " * 200)]
        await ask(teller, long)

        again = await ask(teller, long)

        assert prompt_tokens(again) > 341
        assert known_tokens(again) == 341
        assert again.text == (await ask(teller, long, scope=None)).text


async def test_without_room_nothing_is_kept(driver: Driver) -> None:
    model = spec("transformers", "chat", SMALL / "storyteller", prompt_cache_mib=0)
    async with loaded(driver, model) as found:
        teller = cast(TransformersChat, found.capability)
        await ask(teller, [SYSTEM, STORY])

        assert known_tokens(await ask(teller, [SYSTEM, STORY])) == 0


async def test_what_is_kept_goes_with_the_model(driver: Driver) -> None:
    model = spec("transformers", "chat", SMALL / "storyteller")
    known = []
    for _ in range(2):
        async with loaded(driver, model) as found:
            teller = cast(TransformersChat, found.capability)
            known.append(known_tokens(await ask(teller, [SYSTEM, STORY])))

    assert known == [0, 0]
