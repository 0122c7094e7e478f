"""The contract of `Speech`: derive a test class and give it a `speaker`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import ClassVar

import pytest

from config.errors import Invalid
from models.capabilities import Sound, Speech, SpeechRequest

BOUND_S = 120.0
TEXT = "Hello there, this is a test. And one more! Well?"


async def said(speaker: Speech, request: SpeechRequest) -> list[Sound]:
    """Every sentence."""
    async with asyncio.timeout(BOUND_S), aclosing(speaker.speak(request)) as sounds:
        return [sound async for sound in sounds]


async def refused(speaker: Speech, request: SpeechRequest) -> Invalid:
    with pytest.raises(Invalid) as caught:
        await said(speaker, request)
    return caught.value


def seconds(sounds: list[Sound]) -> float:
    return sum(sound.seconds for sound in sounds)


class SpeechContract:
    """`speaker`, a fixture of the derived class, is a loaded voice."""

    cuts: ClassVar[bool] = True
    """Whether it gives a `Sound` for each sentence; else one for all."""
    has_speed: ClassVar[bool] = True

    @pytest.fixture
    def speaker(self) -> Speech:
        raise NotImplementedError

    async def test_it_keeps_the_protocol(self, speaker: Speech) -> None:
        assert isinstance(speaker, Speech)

    async def test_each_sentence_is_a_sound_of_one_rate(self, speaker: Speech) -> None:
        sounds = await said(speaker, SpeechRequest(TEXT))
        assert " ".join(sound.text for sound in sounds) == TEXT
        assert len(sounds) == (3 if self.cuts else 1)
        assert len({sound.rate for sound in sounds}) == 1
        assert all(sound.samples and len(sound.samples) % 2 == 0 for sound in sounds)
        assert all(any(sound.samples) for sound in sounds)

    async def test_a_longer_text_is_longer(self, speaker: Speech) -> None:
        short = await said(speaker, SpeechRequest("Hello."))
        long = await said(speaker, SpeechRequest("Hello there, this is a longer sentence."))
        assert seconds(long) > seconds(short)

    async def test_a_higher_speed_is_shorter(self, speaker: Speech) -> None:
        if not self.has_speed:
            pytest.skip("it has one speed")
        usual = await said(speaker, SpeechRequest(TEXT))
        assert seconds(await said(speaker, SpeechRequest(TEXT, speed=1.8))) < seconds(usual)
        assert seconds(await said(speaker, SpeechRequest(TEXT, speed=0.6))) > seconds(usual)

    async def test_every_voice_that_it_lists_speaks(self, speaker: Speech) -> None:
        assert len({voice.id for voice in speaker.voices}) == len(speaker.voices)
        for voice in [*speaker.voices[:2], *speaker.voices[-1:]]:
            assert await said(speaker, SpeechRequest("Hello.", voice=voice.id))

    async def test_an_unknown_voice_is_refused(self, speaker: Speech) -> None:
        error = await refused(speaker, SpeechRequest(TEXT, voice="nobody-at-all"))
        assert error.details["field"] == "voice"

    async def test_nothing_to_say_is_refused(self, speaker: Speech) -> None:
        for text in ("", " \n", "...", "\0"):
            error = await refused(speaker, SpeechRequest(text))
            assert error.details["field"] == "text"

    async def test_a_clip_is_refused_by_a_voice_that_does_not_clone(self, speaker: Speech) -> None:
        if speaker.clones:
            pytest.skip("it clones")
        error = await refused(speaker, SpeechRequest(TEXT, reference=b"RIFF"))
        assert error.details["field"] == "reference"

    async def test_odd_texts_are_spoken(self, speaker: Speech) -> None:
        for text in ("a\ud83d b", "stop\0go", "<b>bold</b> &amp; [[x]] {y}", "one " * 900):
            assert await said(speaker, SpeechRequest(text))

    async def test_a_speech_given_up_leaves_it_usable(self, speaker: Speech) -> None:
        async with asyncio.timeout(BOUND_S), aclosing(speaker.speak(SpeechRequest(TEXT))) as sounds:
            async for _ in sounds:
                break
        waiting = asyncio.create_task(said(speaker, SpeechRequest(TEXT)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await said(speaker, SpeechRequest("Hello."))

    async def test_several_speak_at_once_and_none_says_what_is_anothers(
        self, speaker: Speech
    ) -> None:
        texts = [f"Sentence {word}. And again {word}." for word in ("one", "two", "three", "four")]
        alone = [await said(speaker, SpeechRequest(text)) for text in texts]
        together = await asyncio.gather(*(said(speaker, SpeechRequest(text)) for text in texts))
        assert [[sound.text for sound in speech] for speech in together] == [
            [sound.text for sound in speech] for speech in alone
        ]
        assert [seconds(speech) for speech in together] == pytest.approx(
            [seconds(speech) for speech in alone], rel=0.02
        )
