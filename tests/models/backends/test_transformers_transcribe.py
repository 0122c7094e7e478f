"""Whisper in its worker; its weights are random, so what it hears means nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from models.capabilities import Transcribe, TranscribeRequest
from models.driver import Driver
from tests.models.backends.contracts.transcribe import TranscribeContract, said, sound
from tests.support.tiny.models import loaded, made, opened, spec


@pytest.fixture(scope="module")
async def driver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Driver]:
    async with opened("transformers", tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture(scope="module")
async def hearer(
    driver: Driver, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Transcribe]:
    folder = made(tmp_path_factory.mktemp("hearing"), "hearer")
    async with loaded(driver, spec("transformers", "transcribe", folder / "hearer")) as found:
        yield cast(Transcribe, found.capability)


class TestWhisper(TranscribeContract):
    @pytest.fixture
    def listener(self, hearer: Transcribe) -> Transcribe:
        return hearer

    async def test_sound_longer_than_its_window_is_heard_to_the_end(
        self, listener: Transcribe
    ) -> None:
        found = await said(listener, TranscribeRequest(sound(40)))
        assert found[-1].end_s > 30
        assert [each.start_s for each in found] == sorted(each.start_s for each in found)

    async def test_a_language_can_be_named_with_its_region_and_translated(
        self, listener: Transcribe
    ) -> None:
        request = TranscribeRequest(sound(2), language="de-AT", translate=True)
        assert await said(listener, request)
