"""The contract of `Image`: derive a test class and give it a `painter`."""

from __future__ import annotations

import asyncio
import io
from contextlib import aclosing
from typing import ClassVar

import pytest
from PIL import Image as Files

from config.errors import Invalid
from models.capabilities import Image, ImageRequest, ImageStep, Picture

BOUND_S = 120.0


def picture(width: int = 64, height: int = 64, color: str = "red", form: str = "PNG") -> bytes:
    """The file of a picture of one colour."""
    file = io.BytesIO()
    Files.new("RGB", (width, height), color).save(file, form)
    return file.getvalue()


def opened(made: Picture) -> Files.Image:
    """What was drawn, as its file has it."""
    return Files.open(io.BytesIO(made.data))


async def pieces(painter: Image, request: ImageRequest) -> list[ImageStep | Picture]:
    """All that comes, to the end."""
    async with asyncio.timeout(BOUND_S), aclosing(painter.draw(request)) as stream:
        return [piece async for piece in stream]


async def pictures(painter: Image, request: ImageRequest) -> list[Picture]:
    return [piece for piece in await pieces(painter, request) if isinstance(piece, Picture)]


class ImageContract:
    """`painter`, a fixture of the derived class, is a loaded model that draws."""

    tells_steps: ClassVar[bool] = True
    keeps_seeds: ClassVar[bool] = True
    """Whether the same seed draws the same picture."""

    @pytest.fixture
    def painter(self) -> Image:
        raise NotImplementedError

    async def test_it_keeps_the_protocol(self, painter: Image) -> None:
        assert isinstance(painter, Image)
        assert painter.abilities.modes
        assert painter.abilities.width > 0
        assert painter.abilities.height > 0

    async def test_words_become_a_picture_of_the_usual_size(self, painter: Image) -> None:
        (made,) = await pictures(painter, ImageRequest("a red circle"))
        file = opened(made)
        assert file.format == "PNG"
        assert file.size == (made.width, made.height)
        assert file.size == (painter.abilities.width, painter.abilities.height)

    async def test_steps_are_told_in_order_and_end_with_the_last(self, painter: Image) -> None:
        if not self.tells_steps:
            pytest.skip("it tells none")
        made = await pieces(painter, ImageRequest("a red circle", steps=3))
        steps = [piece for piece in made if isinstance(piece, ImageStep)]
        assert [step.step for step in steps] == list(range(1, len(steps) + 1))
        assert {step.total for step in steps} == {len(steps)}
        assert isinstance(made[-1], Picture)

    async def test_the_same_seed_draws_the_same_picture(self, painter: Image) -> None:
        if not self.keeps_seeds:
            pytest.skip("it knows no seeds")
        one, again, other = [
            (await pictures(painter, ImageRequest("a red circle", seed=seed)))[0]
            for seed in (7, 7, 8)
        ]
        assert one.seed == again.seed == 7
        assert one.data == again.data
        assert one.data != other.data

    async def test_several_pictures_have_seeds_in_a_row(self, painter: Image) -> None:
        count = min(2, painter.abilities.max_count)
        made = await pictures(painter, ImageRequest("a red circle", seed=3, count=count))
        assert len(made) == count
        if self.keeps_seeds:
            assert [each.seed for each in made] == [3 + number for number in range(count)]

    async def test_a_picture_is_edited(self, painter: Image) -> None:
        if "edit" not in painter.abilities.modes:
            pytest.skip("it edits none")
        wanted = ImageRequest("a blue circle", image=picture(), steps=4)
        (made,) = await pictures(painter, wanted)
        assert opened(made).size == (made.width, made.height)

    async def test_within_a_mask_a_picture_is_drawn_anew(self, painter: Image) -> None:
        if "inpaint" not in painter.abilities.modes:
            pytest.skip("it knows no masks")
        mask = picture(color="white")
        wanted = ImageRequest("a blue circle", image=picture(), mask=mask, steps=4)
        assert len(await pictures(painter, wanted)) == 1

    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("count", {"count": 1000}),
            ("width", {"width": 7, "height": 7}),
            ("mask", {"mask": b"no image"}),
            ("scheduler", {"scheduler": "no such one"}),
        ],
    )
    async def test_what_it_cannot_do_is_refused_with_the_field(
        self, painter: Image, field: str, wrong: dict[str, object]
    ) -> None:
        with pytest.raises(Invalid) as caught:
            await pictures(painter, ImageRequest("a red circle", **wrong))  # type: ignore[arg-type]
        assert field in caught.value.message

    async def test_a_drawing_given_up_leaves_it_usable(self, painter: Image) -> None:
        async with asyncio.timeout(BOUND_S):
            async with aclosing(painter.draw(ImageRequest("a red circle"))) as stream:
                async for _ in stream:
                    break
        assert await pictures(painter, ImageRequest("a red circle", steps=2))

    async def test_many_at_once_are_all_drawn(self, painter: Image) -> None:
        request = ImageRequest("a red circle", steps=2)
        made = await asyncio.gather(*(pictures(painter, request) for _ in range(3)))
        assert [len(each) for each in made] == [1, 1, 1]
