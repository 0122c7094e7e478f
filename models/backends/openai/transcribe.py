"""Speech to text by any server that speaks OpenAI's protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from openai.types.audio import TranslationVerbose

from config.errors import Invalid
from models.backends.common.wav import wav_file
from models.backends.openai.client import Endpoint
from models.backends.openai.options import OpenAITranscribeOptions
from models.capabilities import Segment, TranscribeRequest
from models.capabilities.transcribe import RATE
from models.text.languages import language_tag

SAMPLE_BYTES = 2


class OpenAITranscribe:
    """Asks `/audio/transcriptions`, or `/audio/translations` for English."""

    def __init__(self, endpoint: Endpoint, options: OpenAITranscribeOptions) -> None:
        self._endpoint = endpoint
        self._options = options

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    async def transcribe(self, request: TranscribeRequest) -> AsyncGenerator[Segment, None]:
        if len(request.samples) % SAMPLE_BYTES:
            raise Invalid(
                "The sound ends within a sample of two bytes.", details={"field": "samples"}
            )
        if not request.samples:
            return
        async with self._endpoint.translated():
            answer = await self._ask(request)
        segments = getattr(answer, "segments", None) or ()
        # Of a translation it tells that it is English.
        heard_as = None if request.translate else getattr(answer, "language", None)
        language = language_tag(heard_as or request.language or "")
        for segment in segments:
            text = segment.text.strip()
            yield Segment(float(segment.start), float(segment.end), text, language)
        if not segments and (text := answer.text.strip()):
            yield Segment(0.0, len(request.samples) / SAMPLE_BYTES / RATE, text, language)

    async def _ask(self, request: TranscribeRequest) -> Any:
        client = self._endpoint.client
        fields: dict[str, Any] = {
            "model": self._endpoint.model,
            "response_format": "verbose_json" if self._options.segments else "json",
        }
        speech = ("speech.wav", wav_file(request.samples, RATE), "audio/wav")
        if request.translate:
            # The client's own method warns: OpenAI will end it. Other servers keep it.
            return await client.post(
                "/audio/translations",
                cast_to=TranslationVerbose,
                body={**fields, **self._options.extra},
                files=[("file", speech)],
                options={"headers": {"Content-Type": "multipart/form-data"}},
            )
        if request.language:
            fields["language"] = request.language.split("-")[0].lower()
        create: Any = client.audio.transcriptions.create
        return await create(file=speech, extra_body=self._options.extra, **fields)
