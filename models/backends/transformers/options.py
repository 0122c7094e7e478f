"""What a model of this back end can be told, by its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from models.backends.common.torch_options import TorchOptions
from models.capabilities.sampling import Sampling
from models.catalog.spec import Task

MIB = 2**20
MAX_CACHED_PROMPTS = 16
"""Prompts whose keys and values a chat model keeps, however small they are."""


class TransformersOptions(TorchOptions):
    """What all tasks know."""

    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")


class TransformersChatOptions(TransformersOptions, Sampling):
    """`options:` of a model with `task: chat`."""

    context: int = Field(8192, ge=64, description="Tokens of question and answer together.")
    prompt_cache_mib: int = Field(
        256, ge=0, description="For prompts that were read, which others begin with; 0: none."
    )
    temperature: float | None = Field(0.7, ge=0, description="0: always the likeliest token.")
    chat_template: Path | None = Field(
        None, description="A Jinja file, for a model that has no chat template of its own."
    )
    template_fields: dict[str, Any] = Field(
        default_factory=dict, description="For its template, e.g. {enable_thinking: false}."
    )


class TransformersCaptionOptions(TransformersOptions):
    """`options:` of a model with `task: caption`."""

    prompt: str = Field(
        "Describe this picture in one or two sentences.",
        description="For a model that follows instructions, when the request has no prompt.",
    )
    max_images: int | None = Field(
        None, ge=1, description="At once; 1 for a model that only completes, else 8."
    )


class TransformersTranscribeOptions(TransformersOptions):
    """`options:` of a model with `task: transcribe`."""

    language: str | None = Field(None, description="When the request names none.")


OPTIONS: dict[Task, type[TransformersOptions]] = {
    "chat": TransformersChatOptions,
    "caption": TransformersCaptionOptions,
    "transcribe": TransformersTranscribeOptions,
}
