"""What a model of this back end can be told, by its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.backends.common.options import Options
from models.catalog.spec import ModelSpec, Task

Quantization = Literal["none", "int8", "nf4"]
QUANTIZERS: dict[Quantization, tuple[str, ...]] = {
    "none": (),
    "int8": ("torchao", "bitsandbytes"),
    "nf4": ("bitsandbytes",),
}
"""The libraries that can do it, the preferred first."""


class TransformersOptions(Options):
    """What all tasks know."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 where the device computes in it."
    )
    quantization: Quantization = Field("none", description="Fewer bits for each weight.")
    threads: int | None = Field(None, ge=1, description="On a CPU; one for each core, at most 4.")
    memory_fraction: float | None = Field(
        None, gt=0, le=1, description="Of an NVIDIA or AMD GPU: the most it may take."
    )
    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")


class ChatOptions(TransformersOptions):
    """`options:` of a model with `task: chat`."""

    context: int = Field(8192, ge=64, description="Tokens of question and answer together.")
    temperature: float = Field(0.7, ge=0, description="0: always the likeliest token.")
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=1)
    max_tokens: int = Field(1024, ge=1, description="Of an answer.")
    seed: int | None = None
    stop: list[str] = Field(default_factory=list)
    chat_template: Path | None = Field(
        None, description="A Jinja file, for a model that has no chat template of its own."
    )
    template_fields: dict[str, Any] = Field(
        default_factory=dict, description="For its template, e.g. {enable_thinking: false}."
    )


class CaptionOptions(TransformersOptions):
    """`options:` of a model with `task: caption`."""

    prompt: str = Field(
        "Describe this picture in one or two sentences.",
        description="For a model that follows instructions, when the request has no prompt.",
    )
    max_images: int | None = Field(
        None, ge=1, description="At once; 1 for a model that only completes, else 8."
    )


class TranscribeOptions(TransformersOptions):
    """`options:` of a model with `task: transcribe`."""

    language: str | None = Field(None, description="When the request names none.")


OPTIONS: dict[Task, type[TransformersOptions]] = {
    "chat": ChatOptions,
    "caption": CaptionOptions,
    "transcribe": TranscribeOptions,
}


def options_of(spec: ModelSpec) -> TransformersOptions:
    """Raises `Invalid` ("invalid_model_options") naming the field."""
    return OPTIONS[spec.task].of(spec.name, spec.options)
