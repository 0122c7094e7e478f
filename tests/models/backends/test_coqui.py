"""coqui-tts in its worker; its weights are random, so what it says is a babble."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from array import array
from collections.abc import AsyncIterator
from contextlib import aclosing
from io import BytesIO
from math import sin
from pathlib import Path
from typing import cast

import pytest
import soundfile

from config.errors import MotetError, Unavailable
from models.backends.coqui.driver import CoquiDriver
from models.backends.coqui.model import CoquiModel
from models.capabilities import Speech, SpeechRequest, Voice
from models.devices import RAM
from models.devices.accelerator import Accelerator
from models.driver import Driver, DriverContext
from models.lease import ModelSource
from tests.models.backends.contracts.speech import (
    BOUND_S,
    TEXT,
    SpeechContract,
    refused,
    said,
    seconds,
)
from tests.support.tiny.models import loaded, opened
from tests.support.tiny.voices import coqui, made

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("voices"))


@pytest.fixture(scope="module")
async def driver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Driver]:
    async with opened("coqui", tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture(scope="module")
async def two(driver: Driver, folder: Path) -> AsyncIterator[Speech]:
    async with loaded(driver, coqui(folder / "two")) as found:
        yield cast(Speech, found.capability)


def clip(hertz: float, seconds: float = 2.0) -> bytes:
    samples = array("h", (int(9000 * sin(n * hertz / RATE * 6.3)) for n in range(RATE)))
    file = BytesIO()
    whole = (samples * int(seconds + 1))[: int(seconds * RATE)]
    with soundfile.SoundFile(file, "w", RATE, 1, "PCM_16", format="WAV") as writer:
        writer.buffer_write(whole.tobytes(), "int16")
    return file.getvalue()


class TestVits(SpeechContract):
    @pytest.fixture
    def speaker(self, two: Speech) -> Speech:
        return two

    async def test_its_speakers_are_its_voices(self, speaker: Speech) -> None:
        assert speaker.voices == [Voice("anna", "en"), Voice("ben", "en")]
        anna, ben = [
            await said(speaker, SpeechRequest(TEXT, voice=name)) for name in ("anna", "ben")
        ]
        assert anna != ben
        assert await said(speaker, SpeechRequest(TEXT)) == anna

    async def test_the_same_words_sound_the_same(self, speaker: Speech) -> None:
        first, second = [await said(speaker, SpeechRequest(TEXT)) for _ in range(2)]
        assert first == second

    async def test_a_language_that_it_does_not_speak_is_refused(self, speaker: Speech) -> None:
        error = await refused(speaker, SpeechRequest(TEXT, language="de"))
        assert error.details["field"] == "language"
        assert await said(speaker, SpeechRequest(TEXT, language="en-US"))

    async def test_a_text_of_which_it_knows_no_character_is_refused(self, speaker: Speech) -> None:
        error = await refused(speaker, SpeechRequest("日本語です。"))
        assert error.code == "nothing_to_say"
        mixed = await said(speaker, SpeechRequest("日本語です。 Hello."))
        assert [sound.text for sound in mixed] == ["Hello."]

    async def test_a_speed_beyond_it_is_refused(self, speaker: Speech) -> None:
        assert (await refused(speaker, SpeechRequest(TEXT, speed=0.01))).details["field"] == "speed"


async def test_a_model_that_reads_phonemes_gets_them_from_the_espeak_that_is_there(
    driver: Driver, folder: Path
) -> None:
    async with loaded(driver, coqui(folder / "phonemes")) as found:
        speaker = cast(Speech, found.capability)
        assert speaker.voices == [Voice("default", "en-us")]
        # "though" has six letters and two sounds.
        though = await said(speaker, SpeechRequest("though"))
        assert seconds(though) < seconds(await said(speaker, SpeechRequest("banana")))


async def test_a_voice_is_cloned_from_a_clip(driver: Driver, folder: Path) -> None:
    async with loaded(driver, coqui(folder / "clones")) as found:
        speaker = cast(Speech, found.capability)
        assert speaker.clones
        low = await said(speaker, SpeechRequest(TEXT, reference=clip(120)))
        high = await said(speaker, SpeechRequest(TEXT, reference=clip(900)))
        assert low != high
        assert await said(speaker, SpeechRequest(TEXT, reference=clip(120))) == low
        for broken in (b"no clip", clip(120)[:30], clip(120, seconds=0.2)):
            error = await refused(speaker, SpeechRequest(TEXT, reference=broken))
            assert error.details["field"] == "reference"
        error = await refused(speaker, SpeechRequest(TEXT))
        assert "give one" in error.message


async def test_options_choose_the_voice_the_speed_and_the_device(
    driver: Driver, folder: Path, two: Speech
) -> None:
    ben = await said(two, SpeechRequest(TEXT, voice="ben"))
    spec = coqui(folder / "two", voice="ben", speed=2.0)
    async with loaded(driver, spec) as found:
        sounds = await said(cast(Speech, found.capability), SpeechRequest(TEXT))
        assert seconds(sounds) < seconds(ben)
        slow = await said(cast(Speech, found.capability), SpeechRequest(TEXT, speed=0.5))
        assert slow == ben


async def test_a_voice_killed_while_it_speaks_gives_its_memory_back(
    driver: Driver, folder: Path
) -> None:
    async with loaded(driver, coqui(folder / "one")) as found:
        model = cast(CoquiModel, found)
        assert model.memory[RAM] > 100_000_000
        speech = model.speak(SpeechRequest("One sentence more. " * 100))
        async with asyncio.timeout(BOUND_S), aclosing(speech) as sounds:
            assert (await anext(sounds)).samples
            os.kill(model._worker.pid, signal.SIGKILL)
            with pytest.raises(Unavailable) as caught:
                async for _ in sounds:
                    pass
            assert caught.value.code == "worker_died"
            assert "SIGKILL" in await model.lost


def test_what_it_takes_is_estimated_by_its_files(folder: Path, tmp_path: Path) -> None:
    gpu = Accelerator("cuda:0", "nvidia", "a card", 8 * 2**30)
    context = DriverContext(
        cast("object", None),  # type: ignore[arg-type]
        {},
        cast(ModelSource, None),
        accelerators=[gpu],
    )
    driver = CoquiDriver(context)
    stored = (folder / "two" / "model.pth").stat().st_size
    on_gpu, on_cpu = driver.estimate(coqui(folder / "two"))
    assert (on_gpu.device, on_cpu.device) == ("cuda:0", "cpu")
    assert on_gpu.memory["cuda:0"] > stored
    assert on_cpu.memory[RAM] > on_gpu.memory[RAM]


async def test_what_is_not_here_is_told_with_what_to_do(
    driver: Driver, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    (tmp_path / "bare").mkdir()
    (tmp_path / "xtts").mkdir()
    (tmp_path / "xtts" / "config.json").write_text(json.dumps({"model": "xtts"}))
    xtts = "tts_models/multilingual/multi-dataset/xtts_v2"
    told = {
        "": "no `source`",
        str(tmp_path / "none"): "no folder",
        str(tmp_path / "bare"): "no config.json",
        "tts_models/en/ljspeech/vitz": "Did you mean 'tts_models/en/ljspeech/vits'",
        "tts_models/en/ljspeech/vits": "motet models pull mine",
        "somebody/a-voice": "motet models pull mine",
        xtts: "license_agreed",
    }
    for source, says in told.items():
        assert says in (await driver.available(coqui(source)) or ""), source
    agreed = await driver.available(coqui(xtts, license_agreed=True))
    assert agreed is not None
    assert "motet models pull mine" in agreed
    with pytest.raises(Unavailable) as caught:
        async with loaded(driver, coqui("tts_models/en/ljspeech/vits")):
            pass
    assert caught.value.code == "model_missing"


async def test_a_broken_checkpoint_is_told(driver: Driver, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "two" / "config.json").read_bytes())
    (tmp_path / "model.pth").write_bytes(b"not a checkpoint" * 100)
    with pytest.raises(MotetError, match="cannot be read") as caught:
        async with loaded(driver, coqui(tmp_path)):
            pass
    assert caught.value.code == "model_unreadable"


async def test_an_option_that_there_is_not_is_told(driver: Driver, folder: Path) -> None:
    why = await driver.available(coqui(folder / "two", vioce="ben"))
    assert why is not None
    assert "Did you mean 'voice'" in why
