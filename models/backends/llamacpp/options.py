"""`options:` of a model of this back end, by its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.backends.common.torch_options import ThreadedOptions
from models.capabilities.sampling import Sampling, TokenChoice
from models.catalog.spec import Task

MIB = 2**20


class LlamaCppOptions(ThreadedOptions):
    """What all tasks know."""

    threads: int | None = Field(None, ge=1, description="On a CPU; one a core, one fewer to write.")
    context: int | None = Field(
        None, ge=64, description="Tokens of question and answer together; what the file says."
    )
    slots: int = Field(1, ge=1, le=64, description="Requests at once, each with a whole context.")
    batch: int | None = Field(
        None, ge=1, le=16_384, description="Tokens read at once; 128 on a CPU, else 2048."
    )
    gpu_layers: int | None = Field(None, ge=0, description="On an accelerator; all of them.")
    prompt_cache_mib: int = Field(
        256, ge=0, description="RAM for prompts of conversations that have no slot now."
    )
    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")


class GenerationOptions(LlamaCppOptions, TokenChoice):
    """What the tasks know that write text, and perhaps look at pictures."""

    projector: Path | None = Field(
        None, description="The GGUF file (mmproj) by which it sees; the one pulled with it."
    )
    chat_template: Path | None = Field(
        None, description="A Jinja file, for a model that has no chat template of its own."
    )
    template_fields: dict[str, Any] = Field(
        default_factory=dict, description="For its template, e.g. {enable_thinking: false}."
    )
    min_p: float | None = Field(None, ge=0, le=1)
    repeat_penalty: float | None = Field(None, gt=0, description="1: none.")

    def own_fields(self) -> dict[str, Any]:
        """Return what llama.cpp has a field for, beside the sampling of all back ends."""
        chosen = self.model_dump(include={"min_p", "repeat_penalty"}, exclude_none=True)
        if self.template_fields:
            chosen["chat_template_kwargs"] = self.template_fields
        return chosen


class LlamaCppChatOptions(GenerationOptions, Sampling):
    """`options:` of a model with `task: chat`."""


class LlamaCppCaptionOptions(GenerationOptions):
    """`options:` of a model with `task: caption`."""


class LlamaCppEmbedOptions(LlamaCppOptions):
    """`options:` of a model with `task: embed`."""

    pooling: Literal["mean", "cls", "last"] | None = Field(
        None, description="How a text's tokens become one vector; what the file says, else mean."
    )


OPTIONS: dict[Task, type[LlamaCppOptions]] = {
    "chat": LlamaCppChatOptions,
    "caption": LlamaCppCaptionOptions,
    "embed": LlamaCppEmbedOptions,
}
