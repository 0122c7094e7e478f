"""Whisper hears what the embedded voice says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soxr

from models.capabilities import Speech, SpeechRequest, Transcribe, TranscribeRequest
from models.capabilities.transcribe import RATE
from models.catalog.spec import ModelSpec
from tests.models.backends.contracts import speech
from tests.models.backends.contracts.transcribe import said
from tests.real_models.catalog import WHISPER
from tests.real_models.conftest import FindModel
from tests.support.tiny.models import loaded, opened
from tests.support.tiny.voices import espeak


@pytest.fixture(scope="module")
async def listener(
    find_model: FindModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Transcribe]:
    fields = {"name": "ears", "task": "transcribe", "backend": "faster_whisper"}
    source = find_model(WHISPER).parent
    spec = ModelSpec.model_validate({**fields, "source": str(source), "options": {"threads": 1}})
    async with opened("faster_whisper", tmp_path_factory.mktemp("home")) as driver:
        async with loaded(driver, spec) as model:
            yield cast(Transcribe, model.capability)


async def speak(text: str, home: Path) -> bytes:
    """What the embedded voice says, as a model hears it."""
    async with opened("espeak", home) as driver, loaded(driver, espeak()) as model:
        sounds = await speech.said(
            cast(Speech, model.capability), SpeechRequest(text, voice="en-us")
        )
    spoken = np.concatenate([np.frombuffer(each.samples, "<i2") for each in sounds])
    return bytes(soxr.resample(spoken, sounds[0].rate, RATE).astype("<i2").tobytes())


async def test_spoken_sentence_is_written_down(listener: Transcribe, tmp_path: Path) -> None:
    samples = await speak("The weather in London is sunny today.", tmp_path)

    segments = await said(listener, TranscribeRequest(samples, language="en"))

    heard = " ".join(each.text for each in segments).lower()
    assert "weather" in heard
    assert "london" in heard
