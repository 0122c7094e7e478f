"""What a model of this back end can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.backends.common.torch_options import ThreadedOptions


class FasterWhisperOptions(ThreadedOptions):
    """`options:` of a model of this back end."""

    language: str | None = Field(None, description="When the request names none.")
    compute_type: Literal["auto", "default", "int8", "int16", "float16", "bfloat16", "float32"] = (
        Field("auto", description="auto: the fastest; default: as the weights are stored.")
    )
    beam_size: int = Field(5, ge=1, le=64, description="Candidates that are followed at once.")
    skip_silence: bool = Field(
        True, description="Leave out what is no speech, in which Whisper makes words up."
    )
    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")
