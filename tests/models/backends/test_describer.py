"""The describer: what it says of a picture, and what it refuses."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import cast

import pytest
from PIL import Image, ImageDraw

from config.errors import Unavailable
from config.settings import load_settings
from models.backends.describer.colors import name
from models.backends.describer.driver import DescriberDriver
from models.capabilities import Caption, CaptionRequest
from models.catalog.spec import ModelSpec
from models.driver import DriverContext
from models.lease import ModelSource
from tests.models.backends.contracts.caption import CaptionContract, picture


@pytest.fixture(scope="module")
async def describer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caption]:
    settings = load_settings(home=tmp_path_factory.mktemp("home"))
    driver = DescriberDriver(DriverContext(settings, {}, cast(ModelSource, None)))
    model = ModelSpec(name="describer", task="caption", backend="describer")
    found = await driver.load(model, driver.estimate(model)[0], lambda news: None)
    yield found
    await found.unload()


def saved(image: Image.Image, form: str = "PNG", exif: Image.Exif | None = None) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **({"exif": exif} if exif else {}))
    return file.getvalue()


class TestDescriber(CaptionContract):
    answers = False
    opens = True

    @pytest.fixture
    def seer(self, describer: Caption) -> Caption:
        return describer

    async def said(self, seer: Caption, *images: bytes) -> str:
        return "".join(await self.told(seer, CaptionRequest(images)))

    async def test_it_tells_size_form_light_and_colours(self, seer: Caption) -> None:
        image = Image.new("RGB", (400, 200), (35, 90, 200))
        ImageDraw.Draw(image).rectangle((0, 0, 99, 199), fill=(214, 40, 40))
        assert await self.said(seer, saved(image)) == (
            "By its pixels alone: a landscape picture of 400 x 200 pixels, 75% blue and 25% red."
        )

    async def test_a_plain_picture_is_all_one_colour(self, seer: Caption) -> None:
        text = await self.said(seer, picture(color="white", width=50, height=90))
        assert (
            text == "By its pixels alone: a bright portrait picture of 50 x 90 pixels, all white."
        )

    async def test_it_tells_when_and_with_what_it_was_taken(self, seer: Caption) -> None:
        exif = Image.Exif()
        exif[0x0110] = "Box 5"
        exif[0x0132] = "2024:05:03 10:00:00"
        exif[0x0112] = 6  # lies on its side
        text = await self.said(seer, saved(Image.new("RGB", (90, 50)), "JPEG", exif))
        assert "portrait picture of 50 x 90" in text
        assert "taken on 2024-05-03 with Box 5." in text

    async def test_pictures_are_told_one_a_line(self, seer: Caption) -> None:
        lines = (await self.said(seer, picture(), picture(color="black"))).splitlines()
        assert [line.split(":")[0] for line in lines] == ["Picture 1", "Picture 2"]

    async def test_a_question_is_refused_with_what_to_do(self, seer: Caption) -> None:
        with pytest.raises(Unavailable, match="ollama pull") as caught:
            await self.told(seer, CaptionRequest([picture()], "Who is this?"))
        assert caught.value.code == "needs_vision_model"


@pytest.mark.parametrize(
    ("color", "word"),
    [
        ((214, 40, 40), "red"),
        ((247, 137, 20), "orange"),
        ((250, 214, 30), "yellow"),
        ((46, 150, 65), "green"),
        ((35, 90, 200), "blue"),
        ((130, 50, 165), "purple"),
        ((20, 20, 24), "black"),
        ((245, 245, 242), "white"),
        ((120, 72, 20), "brown"),
        ((128, 128, 128), "grey"),
    ],
)
def test_colours_have_the_names_people_give_them(color: tuple[int, int, int], word: str) -> None:
    assert name(color) == word
