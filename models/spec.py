"""Models and roles, as `models.yaml` declares them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Task = Literal["chat", "caption", "image", "speech", "embed", "rerank"]
MINUTE_S = 60.0


class ModelSpec(BaseModel):
    """One entry under `models:`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: Task
    backend: str = Field(description="Which driver runs it.")
    source: str = Field(default="", description="The model's name or path for its back end.")
    memory_bytes: int | None = Field(
        default=None, ge=0, description="What it takes when loaded; measured when not given."
    )
    keep_alive_s: float = Field(
        default=5 * MINUTE_S, description="Unloaded when idle for so long; negative: never."
    )
    priority: int = Field(default=0, description="Higher stays loaded longer and is served first.")
    pin: bool = Field(default=False, description="Once loaded, never unloaded to make room.")
    concurrency: int | None = Field(
        default=None, ge=1, description="Leases at once; more wait. Unlimited when not given."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Read by its back end.")
