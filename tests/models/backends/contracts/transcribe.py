"""The contract of `Transcribe`: derive a test class and give it a `listener`."""

from __future__ import annotations

import asyncio
import math
from array import array
from contextlib import aclosing
from random import Random

import pytest

from config.errors import Invalid
from models.capabilities import Segment, Transcribe, TranscribeRequest
from models.capabilities.transcribe import RATE

BOUND_S = 120.0


def sound(seconds: float, loud: int = 6000) -> bytes:
    """A hum with noise in it."""
    random = Random(3)
    samples = (
        loud * math.sin(n / 9) * math.sin(n / 3000) + random.uniform(-loud, loud) / 4
        for n in range(int(seconds * RATE))
    )
    return array("h", (int(sample) for sample in samples)).tobytes()


async def said(listener: Transcribe, request: TranscribeRequest) -> list[Segment]:
    """Every segment."""
    async with asyncio.timeout(BOUND_S), aclosing(listener.transcribe(request)) as segments:
        return [segment async for segment in segments]


class TranscribeContract:
    """`listener`, a fixture of the derived class, is a loaded model that hears."""

    @pytest.fixture
    def listener(self) -> Transcribe:
        raise NotImplementedError

    async def test_it_keeps_the_protocol(self, listener: Transcribe) -> None:
        assert isinstance(listener, Transcribe)

    async def test_segments_come_in_order_within_the_sound(self, listener: Transcribe) -> None:
        found = await said(listener, TranscribeRequest(sound(4)))
        assert all(0 <= segment.start_s <= segment.end_s <= 4 for segment in found)
        assert [each.start_s for each in found] == sorted(each.start_s for each in found)

    async def test_language_of_a_request_is_that_of_its_segments(
        self, listener: Transcribe
    ) -> None:
        found = await said(listener, TranscribeRequest(sound(4), language="en-GB"))
        assert {segment.language for segment in found} <= {"en"}

    async def test_silence_and_nothing_have_no_segments(self, listener: Transcribe) -> None:
        assert await said(listener, TranscribeRequest(bytes(2 * RATE))) == []
        assert await said(listener, TranscribeRequest(b"")) == []

    async def test_half_a_sample_is_refused(self, listener: Transcribe) -> None:
        with pytest.raises(Invalid):
            await said(listener, TranscribeRequest(b"\1\2\3"))

    async def test_an_unknown_language_is_refused(self, listener: Transcribe) -> None:
        with pytest.raises(Invalid):
            await said(listener, TranscribeRequest(sound(1), language="xx"))

    async def test_one_given_up_leaves_it_usable(self, listener: Transcribe) -> None:
        request = TranscribeRequest(sound(4))
        listening = asyncio.create_task(said(listener, request))
        await asyncio.sleep(0)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await said(listener, request)
