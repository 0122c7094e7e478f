"""Models and roles, as `models.yaml` declares them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from config.validation_words import refuse_bool_as_number

Task = Literal["chat", "caption", "image", "speech", "transcribe", "embed", "rerank"]
MINUTE_S = 60.0
KEPT_LOADED_FIELDS = frozenset(
    {"keep_alive_s", "priority", "pin", "preload", "concurrency", "cpu_fallback"}
)
"""Fields of a spec that may change without loading its model anew."""


class ModelSpec(BaseModel):
    """One entry under `models:`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _check_numbers = field_validator("*", mode="wrap")(refuse_bool_as_number)

    name: str
    task: Task
    description: str = Field(default="", description="What it is and can do, for people.")
    backend: str = Field(description="Which driver runs it.")
    source: str = Field(default="", description="The model's name or path for its back end.")
    memory_bytes: int | None = Field(
        default=None, ge=0, description="What it takes when loaded; measured when not given."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|(cuda|xpu)(:\d+)?)$",
        description="Where it computes; auto: an accelerator that has room for it, else the CPU.",
    )
    cpu_fallback: bool = Field(
        default=True, description="On the CPU where no accelerator can ever hold it."
    )
    keep_alive_s: float = Field(
        default=5 * MINUTE_S, description="Unloaded when idle for so long; negative: never."
    )
    priority: int = Field(default=0, description="Higher stays loaded longer and is served first.")
    pin: bool = Field(default=False, description="Once loaded, it stays until someone unloads it.")
    preload: bool = Field(default=False, description="Loaded when the service starts.")
    concurrency: int | None = Field(
        default=None, ge=1, description="Leases at once; more wait. Unlimited when not given."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Read by its back end.")

    def is_loaded_like(self, other: ModelSpec) -> bool:
        """Tell whether what is loaded for the other spec serves for this one."""
        exclude = set(KEPT_LOADED_FIELDS)
        return self.model_dump(exclude=exclude) == other.model_dump(exclude=exclude)
