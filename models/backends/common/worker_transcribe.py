"""A model that hears in a worker, as `Transcribe`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from config.errors import Invalid
from models.backends.common.worker_model import SerialWorkerModel
from models.capabilities import Segment, TranscribeRequest
from models.text.languages import language_tag


class LanguageOptions(Protocol):
    """Options with the language that is taken when a request names none."""

    @property
    def language(self) -> str | None: ...


class WorkerTranscribe:
    """Speech to text by a Whisper model, whose worker has the methods `about` and `transcribe`.

    Raises `Invalid` ("capability_unsupported") for a language, or a translation, it does not know.
    """

    def __init__(
        self,
        model: SerialWorkerModel,
        name: str,
        options: LanguageOptions,
        about: Mapping[str, Any],
    ) -> None:
        self._model = model
        self._name = name
        self._default = options.language
        self._languages: list[str] = about["languages"]

    async def transcribe(self, request: TranscribeRequest) -> AsyncGenerator[Segment, None]:
        header = {"language": self._language(request), "translate": request.translate}
        if len(request.samples) % 2:
            raise Invalid("The samples are no whole 16-bit numbers.", code="invalid_samples")
        stream = self._model.ask("transcribe", header, request.samples)
        async with aclosing(stream) as replies:
            async for reply in replies:
                language = language_tag(reply.header.get("language", ""))
                for start_s, end_s, text in reply.header.get("segments", ()):
                    yield Segment(start_s, end_s, text, language)

    def _language(self, request: TranscribeRequest) -> str | None:
        """Choose the language by the model's own short name; None has it find out."""
        tag = request.language or self._default
        if not self._languages:  # an English model, which takes no choice
            if request.translate or (tag and _primary(tag) != "en"):
                raise Invalid(
                    f"'{self._name}' understands English alone.", code="capability_unsupported"
                )
            return None
        if tag and _primary(tag) not in self._languages:
            raise Invalid(f"'{self._name}' does not know '{tag}'.", code="capability_unsupported")
        return _primary(tag) if tag else None


def _primary(tag: str) -> str:
    return tag.replace("_", "-").split("-")[0].lower()
