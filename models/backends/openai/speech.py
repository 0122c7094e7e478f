"""Speech by any server that speaks OpenAI's protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from config.errors import Invalid, nearest
from models.backends.common.spoken import split_for_speech
from models.backends.common.wav import Wav, read_wav
from models.backends.openai.client import Endpoint
from models.backends.openai.options import OpenAISpeechOptions
from models.capabilities import Sound, SpeechRequest, Voice

MIN_SPEED, MAX_SPEED = 0.25, 4.0
MAX_CHARS = 2000  # OpenAI's own servers take 4096


class OpenAISpeech:
    """Asks `/audio/speech` for one sentence after another, so that the first comes early."""

    clones = False

    def __init__(self, endpoint: Endpoint, options: OpenAISpeechOptions) -> None:
        self._endpoint = endpoint
        self._options = options

    @property
    def voices(self) -> Sequence[Voice]:
        return [Voice(name) for name in self._options.voices or [self._options.voice]]

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[Sound, None]:
        voice = self._checked(request)
        for text in split_for_speech(request.text, MAX_CHARS):
            wav = await self._spoken(text, voice, request.speed)
            yield Sound(wav.samples, wav.rate, text)

    async def _spoken(self, text: str, voice: str, speed: float) -> Wav:
        async with self._endpoint.translated():
            answer = await self._endpoint.client.audio.speech.create(
                model=self._endpoint.model,
                input=text,
                voice=voice,
                response_format=self._options.format,
                speed=speed,
                extra_body=self._options.extra,
            )
            data = await answer.aread()
        if self._options.format == "pcm":
            return Wav(data[: len(data) // 2 * 2], self._options.rate)
        if (wav := read_wav(data)) is None:
            raise self._endpoint.translate.unreadable("the sound is not 16-bit mono WAV")
        return wav

    def _checked(self, request: SpeechRequest) -> str:
        if request.reference is not None:
            raise _unable("reference", "this back end does not clone voices")
        if not MIN_SPEED <= request.speed <= MAX_SPEED:
            raise _unable("speed", f"must be from {MIN_SPEED:g} to {MAX_SPEED:g}")
        if not split_for_speech(request.text, MAX_CHARS):
            raise _unable("text", "there is nothing to say")
        voice = request.voice or self._options.voice
        if self._options.voices and voice not in self._options.voices:
            raise _unable(
                "voice",
                f"'{self._endpoint.name}' has no voice '{voice}'. "
                f"{nearest(voice, self._options.voices)}",
            )
        return voice


def _unable(field: str, why: str) -> Invalid:
    return Invalid(f"{field}: {why}", code="capability_unsupported", details={"field": field})
