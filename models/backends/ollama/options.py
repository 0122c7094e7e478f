"""What models.yaml may say of Ollama and of its models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from models.backends.common.options import Options

DEFAULT_NUM_CTX = 8192
# Changing one of these makes Ollama load the model anew, so each model has them fixed.
RUNNER_OPTIONS = ("num_ctx", "num_gpu", "num_thread")
Start = Literal["never", "native", "container", "auto"]


class OllamaOptions(Options):
    """`options:` of a model of this back end."""

    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it answers.")
    load_timeout_s: float = Field(300.0, gt=0)
    num_ctx: int | None = Field(
        None, ge=64, description="Context in tokens; default 8192, or less where it has less."
    )
    num_gpu: int | None = None
    num_thread: int | None = None
    num_predict: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | None = None
    reasoning: bool | str | None = None
    dimensions: int | None = Field(
        None, ge=1, description="Of an embedding model: numbers in a vector."
    )

    def sampling(self) -> dict[str, Any]:
        """Return what goes with each request of a chat."""
        own = {"timeout_s", "load_timeout_s", "dimensions"}
        return self.model_dump(exclude=own, exclude_none=True)

    def generation(self) -> dict[str, Any]:
        """Return the same without what is no option of Ollama's own API."""
        return {name: value for name, value in self.sampling().items() if name != "reasoning"}


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
