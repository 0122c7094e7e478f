"""Speaking: a text as sound, sentence by sentence."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """What to say and how; None leaves a choice to the model.

    `voice` is an id of `Speech.voices`. `reference` is a WAV file of the voice to clone, for a
    model that can. `speed` of 1 is the model's own.
    """

    text: str
    voice: str | None = None
    language: str | None = None
    speed: float = 1.0
    reference: bytes | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """One spoken sentence: mono signed 16-bit little-endian samples, `rate` of them a second."""

    samples: bytes
    rate: int
    text: str

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_BYTES / self.rate


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that a model has. `language` is a BCP 47 tag, or "" when it speaks several."""

    id: str
    language: str = ""
    description: str = ""


@runtime_checkable
class Speech(Protocol):
    """Speaks."""

    @property
    def voices(self) -> Sequence[Voice]: ...

    @property
    def clones(self) -> bool:
        """Whether it takes a `reference`."""
        ...

    def speak(self, request: SpeechRequest) -> AsyncGenerator[Sound, None]:
        """Stream each sentence when it is spoken; all have one rate.

        Raises `Invalid` naming the field for a voice or language that it has not.
        """
        ...
