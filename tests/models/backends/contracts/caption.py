"""The contract of `Caption`: derive a test class and give it a `seer`."""

from __future__ import annotations

import asyncio
import io
from contextlib import aclosing
from typing import ClassVar

import pytest
from PIL import Image

from config.errors import Invalid, MotetError
from models.capabilities import Caption, CaptionRequest

BOUND_S = 120.0


def picture(form: str = "PNG", color: str = "red", width: int = 64, height: int = 48) -> bytes:
    """The file of a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, form)
    return file.getvalue()


class CaptionContract:
    """`seer`, a fixture of the derived class, is a loaded model that looks at pictures."""

    answers: ClassVar[bool] = True
    """Whether it takes a prompt; else it refuses one for good."""
    opens: ClassVar[bool] = False
    """Whether it opens the files itself, and so tells a broken one."""

    @pytest.fixture
    def seer(self) -> Caption:
        raise NotImplementedError

    async def told(self, caption: Caption, request: CaptionRequest) -> list[str]:
        """The pieces of a whole answer."""
        async with asyncio.timeout(BOUND_S), aclosing(caption.caption(request)) as pieces:
            return [piece async for piece in pieces]

    async def test_it_keeps_the_protocol(self, seer: Caption) -> None:
        assert isinstance(seer, Caption)

    @pytest.mark.parametrize("form", ["PNG", "JPEG"])
    async def test_a_picture_gets_a_text(self, seer: Caption, form: str) -> None:
        request = CaptionRequest([picture(form)], max_tokens=24)
        assert "".join(await self.told(seer, request)).strip()

    async def test_a_prompt_is_answered_or_refused(self, seer: Caption) -> None:
        request = CaptionRequest([picture()], "What is in this picture?", max_tokens=24)
        if self.answers:
            assert await self.told(seer, request)
            return
        with pytest.raises(MotetError) as caught:
            await self.told(seer, request)
        assert caught.value.permanent

    async def test_no_picture_is_refused(self, seer: Caption) -> None:
        with pytest.raises(Invalid):
            await self.told(seer, CaptionRequest([]))

    async def test_a_broken_picture_is_refused(self, seer: Caption) -> None:
        if not self.opens:
            pytest.skip("it hands files on unopened")
        for broken in (b"", b"no picture", picture()[:60]):
            with pytest.raises(Invalid) as caught:
                await self.told(seer, CaptionRequest([broken]))
            assert caught.value.code == "unreadable_image"

    async def test_a_stream_given_up_leaves_it_usable(self, seer: Caption) -> None:
        async with asyncio.timeout(BOUND_S):
            async with aclosing(seer.caption(CaptionRequest([picture()]))) as pieces:
                async for _ in pieces:
                    break
        assert await self.told(seer, CaptionRequest([picture()], max_tokens=8))

    async def test_many_at_once_are_all_answered(self, seer: Caption) -> None:
        request = CaptionRequest([picture()], max_tokens=8)
        assert all(await asyncio.gather(*(self.told(seer, request) for _ in range(4))))
