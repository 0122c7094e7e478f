"""The shipped storyteller, asked as the shipped agents ask."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import cast

import pytest
from langchain_core.language_models import BaseChatModel

from recipes.shapes import COLORS, SHAPES
from tests.support.tiny.models import SMALL, loaded, opened, spec

SCENE = re.compile(
    rf"\ban? ({'|'.join(COLORS)}) ({'|'.join(SHAPES)}) on an? ({'|'.join(COLORS)}) ground\b"
)
SYSTEM = (
    "You write stories for picture books, in short, plain sentences. Each paragraph is one scene "
    "that can be drawn: say what is to be seen. Separate the paragraphs by an empty line. "
    "No title, no headings, no numbers."
)


@pytest.fixture(scope="module")
async def teller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BaseChatModel]:
    async with opened("transformers", tmp_path_factory.mktemp("home")) as driver:
        model = spec("transformers", "chat", SMALL / "storyteller", context=1024)
        async with loaded(driver, model) as found:
            yield cast(BaseChatModel, found.capability)


@pytest.mark.parametrize("system", [None, SYSTEM])
@pytest.mark.parametrize("hero", ["a red circle", "an orange triangle", "a blue star"])
async def test_every_paragraph_of_a_story_has_a_scene_with_its_hero_or_a_friend(
    teller: BaseChatModel, hero: str, system: str | None
) -> None:
    before = [("system", system)] if system else []
    asked = [*before, ("user", f"Write a story about {hero}")]
    parts = (await teller.ainvoke(asked, temperature=0)).text.split("\n\n")
    assert 4 <= len(parts) <= 8
    assert all(len(SCENE.findall(part)) == 1 for part in parts)
    assert hero in parts[0]
    assert sum(hero in part for part in parts) >= len(parts) - 1


async def test_a_story_is_the_same_at_temperature_zero_and_others_above(
    teller: BaseChatModel,
) -> None:
    async def story(temperature: float) -> str:
        asked = "Write a story about a red circle"
        return str((await teller.ainvoke(asked, temperature=temperature)).text)

    assert await story(0) == await story(0)
    assert len({await story(0.9) for _ in range(3)}) > 1


async def test_it_says_what_to_draw_for_a_scene(teller: BaseChatModel) -> None:
    line = "The moon rose slowly over a green star on a black ground."
    answer = await teller.ainvoke(f"Describe the picture for this scene: {line}", temperature=0)
    assert answer.text == "a green star on a black ground"


async def test_what_it_does_not_know_it_says(teller: BaseChatModel) -> None:
    answer = await teller.ainvoke("Write a story about a dragon", temperature=0)
    assert str(answer.text).startswith("I know stories about shapes only")
