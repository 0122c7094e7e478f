"""What a model of coqui-tts can be told."""

from __future__ import annotations

from pydantic import Field

from models.backends.common.options import Options


class CoquiOptions(Options):
    """`options:` of a model of this back end."""

    voice: str | None = Field(None, description="When none is asked for; as it comes, its first.")
    language: str | None = Field(None, description="When none is asked for, of several.")
    speed: float = Field(1.0, gt=0, le=10, description="What a speed of 1 means.")
    seed: int = Field(0, description="Of what is left to chance in a sentence.")
    vocoder: str | None = Field(None, description="A folder with one, for a model without its own.")
    license_agreed: bool = Field(
        False, description="For a released model that asks for it: you agree to its license."
    )
    threads: int | None = Field(None, ge=1, description="On a CPU; one for each core, at most 4.")
    memory_fraction: float | None = Field(
        None, gt=0, le=1, description="Of an NVIDIA or AMD GPU: the most it may take."
    )
    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it speaks a sentence.")
    sentence_chars: int = Field(
        240, ge=20, description="A longer sentence is cut where one would draw breath."
    )
