"""Models that draw, look, speak and listen without any library: for tests of what leads to them.

They keep the protocols of `models.capabilities`, and record what they were asked.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image as Pillow

from config.errors import Invalid, NotFound
from models.capabilities import (
    CaptionRequest,
    ImageAbilities,
    ImageRequest,
    ImageStep,
    Picture,
    Segment,
    Sound,
    SpeechRequest,
    TranscribeRequest,
    Voice,
)
from models.catalog.spec import ModelSpec, Task
from tests.support.graphs import FakeResolvedModel

RATE = 8000
STEPS = 4


def png(prompt: str, width: int = 32, height: int = 24, kind: str = "PNG") -> bytes:
    """A picture of one colour, which follows from the prompt."""
    number = zlib.crc32(prompt.encode())
    color = (number & 255, number >> 8 & 255, number >> 16 & 255)
    file = io.BytesIO()
    Pillow.new("RGB", (width, height), color).save(file, kind)
    return file.getvalue()


@dataclass
class FakeImageModel:
    """Draws one colour for each prompt and seed, in four steps."""

    asked: list[ImageRequest] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    @property
    def abilities(self) -> ImageAbilities:
        return ImageAbilities(("generate", "edit", "inpaint"), 32, 24, max_count=8)

    async def draw(self, request: ImageRequest) -> AsyncGenerator[ImageStep | Picture, None]:
        self.asked.append(request)
        for step in range(1, STEPS + 1):
            shown = request.preview_every and step % request.preview_every == 0
            yield ImageStep(step, STEPS, png(request.prompt, 8, 8, "JPEG") if shown else None)
        if self.failures:
            raise self.failures.pop(0)
        first = 7 if request.seed is None else request.seed
        for seed in range(first, first + request.count):
            data = png(f"{request.prompt} {seed}")
            yield Picture(data, 32, 24, seed, {"steps": STEPS})


@dataclass
class FakeCaptionModel:
    """Says how many pictures it sees, and how large they are, word by word, or `words`."""

    asked: list[CaptionRequest] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    async def caption(self, request: CaptionRequest) -> AsyncGenerator[str, None]:
        self.asked.append(request)
        sizes = [Pillow.open(io.BytesIO(data)).size for data in request.images]
        plain = ["plain ", *(f"{width}x{height} " for width, height in sizes), "picture"]
        for word in self.words or plain:
            yield word


@dataclass
class FakeSpeechModel:
    """Says each sentence in a tenth of a second for each of its words."""

    asked: list[SpeechRequest] = field(default_factory=list)
    voices: tuple[Voice, ...] = (Voice("plain", "en"),)
    clones: bool = True

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[Sound, None]:
        self.asked.append(request)
        if request.language not in {None, *(voice.language for voice in self.voices)}:
            message = f"No voice speaks '{request.language}'."
            raise Invalid(message, code="unknown_language", details={"field": "language"})
        for sentence in request.text.replace("\n\n", " ").split(". "):
            said = sentence if sentence.endswith(".") else f"{sentence}."
            yield Sound(bytes(2 * len(said.split()) * RATE // 10), RATE, said)


@dataclass
class FakeTranscriber:
    """Hears the same words in whatever is said."""

    words: str = "How do I start the service?"
    language: str = "en"
    asked: list[TranscribeRequest] = field(default_factory=list)

    async def transcribe(self, request: TranscribeRequest) -> AsyncGenerator[Segment, None]:
        self.asked.append(request)
        half = self.words.rfind(" ")
        yield Segment(0.0, 0.5, self.words[:half], self.language)
        yield Segment(0.5, 1.0, self.words[half:], self.language)


@dataclass(frozen=True)
class MediaLease:
    """One of the above, leased."""

    model: ModelSpec
    capability: Any

    @property
    def image(self) -> Any:
        return self.capability

    caption = speech = transcribe = image

    @property
    def choice(self) -> FakeResolvedModel:
        return FakeResolvedModel(self.model.name)


@dataclass
class FakeMediaModels:
    """Leases a painter, a looker, a speaker and a listener, each under its role's name."""

    painter: FakeImageModel = field(default_factory=FakeImageModel)
    looker: FakeCaptionModel = field(default_factory=FakeCaptionModel)
    speaker: FakeSpeechModel = field(default_factory=FakeSpeechModel)
    listener: FakeTranscriber = field(default_factory=FakeTranscriber)
    tenants: list[str] = field(default_factory=list)

    async def attempts(
        self,
        name: str,
        task: Task,
        *,
        tenant: str,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> AsyncIterator[AbstractAsyncContextManager[MediaLease]]:
        known: dict[str, tuple[str, Any]] = {
            "image": ("painter", self.painter),
            "vision": ("looker", self.looker),
            "voice": ("speaker", self.speaker),
            "transcribe": ("listener", self.listener),
        }
        if name not in known:
            raise NotFound(f"There is no model '{name}'.", code="model_not_found")
        self.tenants.append(tenant)
        model, capability = known[name]
        spec = ModelSpec(name=model, task=task, backend="fake")

        @asynccontextmanager
        async def attempt() -> AsyncIterator[MediaLease]:
            if on_event:
                on_event({"phase": "chosen", "model": model})
                on_event({"phase": "ready", "model": model})
            yield MediaLease(spec, capability)

        yield attempt()
