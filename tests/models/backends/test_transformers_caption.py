"""Models that look at pictures, in their worker."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import cast

import pytest
from PIL import Image

from config.errors import Invalid
from models.capabilities import Caption, CaptionRequest
from models.driver import Driver
from recipes.shapes import Scene, draw, scenes
from tests.models.backends.contracts.caption import BOUND_S, CaptionContract, picture
from tests.support.tiny.models import SMALL, loaded, made, opened, spec

SAMPLE = 24


@pytest.fixture(scope="module")
async def driver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Driver]:
    async with opened("transformers", tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("caption"), "viewer", "completer")


@pytest.fixture(scope="module")
async def captioner(driver: Driver) -> AsyncIterator[Caption]:
    model = spec("transformers", "caption", SMALL / "captioner", max_images=1)
    async with loaded(driver, model) as found:
        yield cast(Caption, found.capability)


@pytest.fixture(scope="module")
async def viewer(driver: Driver, folder: Path) -> AsyncIterator[Caption]:
    async with loaded(driver, spec("transformers", "caption", folder / "viewer")) as found:
        yield cast(Caption, found.capability)


@pytest.fixture(scope="module")
async def completer(driver: Driver, folder: Path) -> AsyncIterator[Caption]:
    async with loaded(driver, spec("transformers", "caption", folder / "completer")) as found:
        yield cast(Caption, found.capability)


def drawn(scene: Scene, size: int) -> bytes:
    file = io.BytesIO()
    draw(scene, size, Random(scene.prompt)).save(file, "PNG")
    return file.getvalue()


class TestCaptioner(CaptionContract):
    """The shipped one."""

    opens = True

    @pytest.fixture
    def seer(self, captioner: Caption) -> Caption:
        return captioner

    @pytest.mark.parametrize("size", [64, 256])
    async def test_it_names_what_is_in_pictures_of_the_small_world(
        self, seer: Caption, size: int
    ) -> None:
        right = 0
        for scene in Random(4).sample(list(scenes()), SAMPLE):
            said = await self.told(seer, CaptionRequest([drawn(scene, size)]))
            right += "".join(said).strip() == scene.prompt
        assert right >= SAMPLE - 1

    async def test_a_question_does_not_confuse_it(self, seer: Caption) -> None:
        scene = Scene("red", "circle", "blue")
        request = CaptionRequest([drawn(scene, 128)], "What is in this picture?")
        assert "".join(await self.told(seer, request)).strip() == scene.prompt

    async def test_more_pictures_than_it_may_look_at_are_refused(self, seer: Caption) -> None:
        with pytest.raises(Invalid, match="1 at once") as caught:
            await self.told(seer, CaptionRequest([picture(), picture()]))
        assert caught.value.code == "too_many_images"

    async def test_an_answer_is_cut_at_its_most_tokens(self, seer: Caption) -> None:
        said = await self.told(seer, CaptionRequest([picture()], max_tokens=2))
        assert len("".join(said).split()) == 2


class TestCompleter(CaptionContract):
    """A model that only completes: BLIP."""

    opens = True

    @pytest.fixture
    def seer(self, completer: Caption) -> Caption:
        return completer

    async def test_it_looks_at_one_picture_at_once(self, seer: Caption) -> None:
        with pytest.raises(Invalid, match="1 at once"):
            await self.told(seer, CaptionRequest([picture(), picture()]))

    async def test_a_prompt_is_continued_and_not_repeated(self, seer: Caption) -> None:
        said = await self.told(seer, CaptionRequest([picture()], "a picture of", max_tokens=3))
        assert len("".join(said).split()) <= 3


class TestViewer(CaptionContract):
    """A model with a chat template: LLaVA."""

    opens = True

    @pytest.fixture
    def seer(self, viewer: Caption) -> Caption:
        return viewer

    async def test_it_looks_at_several_pictures(self, seer: Caption) -> None:
        pictures = [picture(color=color) for color in ("red", "blue", "green")]
        assert await self.told(seer, CaptionRequest(pictures, "Compare.", max_tokens=8))

    async def test_a_transparent_picture_is_seen_on_white(self, seer: Caption) -> None:
        clear = picture_of("RGBA", (0, 0, 0, 0))
        white = picture(color="white")
        same = [
            await self.told(seer, CaptionRequest([each], "Say.", max_tokens=16))
            for each in (clear, white)
        ]
        assert same[0] == same[1]

    async def test_giving_up_stops_an_answer_that_would_be_long(self, seer: Caption) -> None:
        async with asyncio.timeout(BOUND_S):
            endless = CaptionRequest([picture()], "Talk.", max_tokens=100_000)
            async with aclosing(seer.caption(endless)) as pieces:
                async for _ in pieces:
                    break
            assert await self.told(seer, CaptionRequest([picture()], max_tokens=4))


def picture_of(mode: str, color: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (64, 48), color).save(file, "PNG")
    return file.getvalue()
