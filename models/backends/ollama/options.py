"""What models.yaml may say of Ollama and of its models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from models.backends.common.options import Options
from models.backends.common.sampling import dump_sampling, for_ollama
from models.capabilities.sampling import Sampling

DEFAULT_NUM_CTX = 8192
# Changing one of these makes Ollama load the model anew, so each model has them fixed.
RUNNER_OPTIONS = ("num_ctx", "num_gpu", "num_thread")
Start = Literal["never", "native", "container", "auto"]


class OllamaOptions(Options, Sampling):
    """`options:` of a model of this back end."""

    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")
    load_timeout_s: float = Field(300.0, gt=0)
    num_ctx: int | None = Field(
        None, ge=64, description="Context in tokens; default 8192, or less where it has less."
    )
    num_gpu: int | None = None
    num_thread: int | None = None
    repeat_penalty: float | None = None
    reasoning: bool | str | None = None
    dimensions: int | None = Field(
        None, ge=1, description="Of an embedding model: numbers in a vector."
    )

    def runner(self) -> dict[str, Any]:
        """Return options of Ollama's API that are no sampling of ours."""
        return self.model_dump(include={*RUNNER_OPTIONS, "repeat_penalty"}, exclude_none=True)

    def generation(self) -> dict[str, Any]:
        """Return all options of Ollama's API."""
        return {**for_ollama(dump_sampling(self)), **self.runner()}


class OllamaSettings(Options):
    """`backends: ollama:` in models.yaml."""

    prefer: list[str] = Field(default_factory=list)
    start: Start = Field(
        "never", description="Start Ollama where it does not run: its program, or its container."
    )
    program: str = Field("ollama", description="The program: a name on PATH, or a path.")
    image: str = Field("ollama/ollama:latest", description="The container's image.")
    volume: str = Field("motet-ollama", description="The named volume that keeps its models.")
    start_timeout_s: float = Field(60.0, gt=0)
