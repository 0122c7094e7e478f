"""espeak-ng in its worker."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest

from config.errors import Invalid, MotetError, TimedOut, Unavailable
from config.settings import load_settings
from models.backends.espeak.driver import EspeakModel
from models.capabilities import Sound, Speech, SpeechRequest
from models.devices import RAM
from models.driver import Driver
from models.manager import open_models
from tests.models.backends.contracts.speech import (
    BOUND_S,
    TEXT,
    SpeechContract,
    refused,
    said,
    seconds,
)
from tests.support.tenants import TENANT
from tests.support.tiny.models import loaded, opened
from tests.support.tiny.voices import espeak

MANY = "This is one of many sentences. " * 60


async def rest_of(sounds: AsyncIterator[Sound]) -> list[Sound]:
    return [sound async for sound in sounds]


@pytest.fixture(scope="module")
async def driver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Driver]:
    async with opened("espeak", tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture(scope="module")
async def voice(driver: Driver) -> AsyncIterator[Speech]:
    async with loaded(driver, espeak()) as found:
        yield cast(Speech, found.capability)


class TestEspeak(SpeechContract):
    @pytest.fixture
    def speaker(self, voice: Speech) -> Speech:
        return voice

    async def test_a_language_finds_its_best_voice(self, speaker: Speech) -> None:
        german = await said(speaker, SpeechRequest("Guten Tag.", voice="de"))
        for tag in ("de", "de-DE", "DE_at"):
            assert await said(speaker, SpeechRequest("Guten Tag.", language=tag)) == german
        english = await said(speaker, SpeechRequest("Guten Tag."))
        assert await said(speaker, SpeechRequest("Guten Tag.", language="en")) == english
        assert english != german

    async def test_an_unknown_language_is_refused(self, speaker: Speech) -> None:
        error = await refused(speaker, SpeechRequest(TEXT, language="tlh"))
        assert (error.code, error.details["field"]) == ("unknown_language", "language")

    async def test_a_voice_is_found_by_its_name_or_a_tag_and_not_by_half_of_one(
        self, speaker: Speech
    ) -> None:
        scottish = await said(speaker, SpeechRequest(TEXT, voice="en-gb-scotland"))
        named = await said(speaker, SpeechRequest(TEXT, voice="English (Scotland)"))
        assert named == scottish
        assert await said(speaker, SpeechRequest(TEXT, voice="en-GB"))
        assert (await refused(speaker, SpeechRequest(TEXT, voice="en-alloy"))).code == (
            "unknown_voice"
        )

    async def test_a_voice_and_another_language_are_refused(self, speaker: Speech) -> None:
        error = await refused(speaker, SpeechRequest(TEXT, voice="de", language="fr"))
        assert error.details["field"] == "language"
        assert await said(speaker, SpeechRequest(TEXT, voice="en-us", language="en-GB"))

    async def test_a_voice_has_other_throats(self, speaker: Speech) -> None:
        usual = await said(speaker, SpeechRequest(TEXT))
        assert await said(speaker, SpeechRequest(TEXT, voice="en-us+f3")) != usual
        error = await refused(speaker, SpeechRequest(TEXT, voice="en-us+croack"))
        assert "'croak'" in error.message

    async def test_a_speed_beyond_it_is_refused_with_what_it_has(self, speaker: Speech) -> None:
        for speed in (0.2, 4.0):
            error = await refused(speaker, SpeechRequest(TEXT, speed=speed))
            assert error.details["field"] == "speed"
            assert 0.4 < error.details["min"] < error.details["max"] < 3

    async def test_the_same_words_sound_the_same(self, speaker: Speech) -> None:
        first, second = [await said(speaker, SpeechRequest(TEXT)) for _ in range(2)]
        assert first == second

    async def test_its_voices_say_what_they_are(self, speaker: Speech) -> None:
        assert len(speaker.voices) > 100
        assert all("formant" in voice.description for voice in speaker.voices)


async def test_options_are_what_is_said_when_nothing_is_asked(driver: Driver) -> None:
    async with loaded(driver, espeak()) as usual, loaded(driver, espeak(speed=0.8)) as slow:
        quick = await said(cast(Speech, usual.capability), SpeechRequest(TEXT))
        assert seconds(await said(cast(Speech, slow.capability), SpeechRequest(TEXT))) > seconds(
            quick
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [({"voice": "nobody"}, "no voice 'nobody'"), ({"pich": 3}, "Did you mean 'pitch'")],
)
async def test_wrong_options_are_told(
    driver: Driver, options: dict[str, object], says: str
) -> None:
    with pytest.raises(MotetError, match=says):
        async with loaded(driver, espeak(**options)):
            pass


async def test_the_first_sentence_comes_before_the_last_is_spoken(driver: Driver) -> None:
    async with loaded(driver, espeak()) as found:
        model = cast(EspeakModel, found)
        async with asyncio.timeout(BOUND_S), aclosing(model.speak(SpeechRequest(MANY))) as sounds:
            first = await anext(sounds)
            os.kill(model._worker.pid, signal.SIGKILL)
            with pytest.raises(Unavailable) as caught:
                await rest_of(sounds)
        assert caught.value.code == "worker_died"
        assert first.samples


async def test_a_voice_that_was_killed_says_so_and_can_be_loaded_again(driver: Driver) -> None:
    async with loaded(driver, espeak()) as found:
        model = cast(EspeakModel, found)
        os.kill(model._worker.pid, signal.SIGKILL)
        async with asyncio.timeout(BOUND_S):
            assert "SIGKILL" in await model.lost
        with pytest.raises(Unavailable):
            await said(model, SpeechRequest(TEXT))
    async with loaded(driver, espeak()) as again:
        assert await said(cast(Speech, again.capability), SpeechRequest(TEXT))


async def test_the_role_voice_ends_in_it_and_it_is_loaded_anew_after_a_kill(tmp_path: Path) -> None:
    async with asyncio.timeout(BOUND_S), open_models(load_settings(home=tmp_path)) as models:
        async with models.lease("voice", "speech", tenant=TENANT) as lease:
            assert lease.model.name == "espeak"
            assert "formant" in lease.model.description
            sounds = lease.speech.speak(SpeechRequest(MANY))
            await anext(sounds)
            os.kill(cast(EspeakModel, lease.speech)._worker.pid, signal.SIGKILL)
            with pytest.raises(Unavailable):
                await rest_of(sounds)
        async with models.lease("voice", "speech", tenant=TENANT) as lease:
            assert await said(lease.speech, SpeechRequest(TEXT))


async def test_a_voice_that_hangs_is_ended(driver: Driver) -> None:
    async with loaded(driver, espeak(timeout_s=0.5)) as found:
        model = cast(EspeakModel, found)
        os.kill(model._worker.pid, signal.SIGSTOP)
        with pytest.raises(TimedOut):
            await said(model, SpeechRequest(TEXT))
        async with asyncio.timeout(BOUND_S):
            assert "SIGKILL" in await model.lost


async def test_unloading_while_it_speaks_ends_the_speech_and_leaves_no_process(
    driver: Driver,
) -> None:
    async with loaded(driver, espeak()) as found:
        model = cast(EspeakModel, found)
        async with asyncio.timeout(BOUND_S), aclosing(model.speak(SpeechRequest(MANY))) as sounds:
            await anext(sounds)
            await model.unload()
            assert model._worker.exited.done()
            with pytest.raises(Unavailable):
                await rest_of(sounds)


async def test_a_long_speech_does_not_hold_up_a_short_one(driver: Driver) -> None:
    async with loaded(driver, espeak()) as found:
        speaker = cast(Speech, found.capability)
        long = asyncio.create_task(said(speaker, SpeechRequest(MANY)))
        await asyncio.sleep(0)
        assert await said(speaker, SpeechRequest("Hello."))
        assert not long.done()
        assert len(await long) == 60


async def test_its_memory_is_measured(driver: Driver) -> None:
    async with loaded(driver, espeak()) as found:
        assert found.memory is not None
        assert 10_000_000 < found.memory[RAM] < 200_000_000
        assert driver.estimate(espeak())[0].memory[RAM] > found.memory[RAM] / 2


async def test_a_text_without_end_is_refused(driver: Driver) -> None:
    async with loaded(driver, espeak()) as found:
        with pytest.raises(Invalid) as caught:
            await said(cast(Speech, found.capability), SpeechRequest("a " * 600_000))
    assert caught.value.code == "too_large"
