"""What a model of this back end can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.backends.common.torch_options import TorchOptions

Offload = Literal["none", "model", "sequential"]


class DiffusersOptions(TorchOptions):
    """`options:` of a model with `backend: diffusers`."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 where the accelerator computes in it; on a CPU float32."
    )
    offload: Literal["auto", "none", "model", "sequential"] = Field(
        "auto", description="What waits in RAM for its turn on the accelerator."
    )
    width: int | None = Field(None, ge=8, description="When the request names none.")
    height: int | None = Field(None, ge=8, description="When the request names none.")
    steps: int | None = Field(None, ge=1, description="When the request names none.")
    guidance: float | None = Field(None, ge=0, description="When the request names none.")
    scheduler: str | None = Field(None, description="When the request names none.")
    max_side: int | None = Field(
        None, ge=8, description="The longest side of a picture; twice the model's usual one."
    )
    max_count: int = Field(8, ge=1, description="Pictures of one request.")
    max_batch: int = Field(4, ge=1, description="Pictures drawn at once, where memory allows.")
    warm_up: bool | None = Field(
        None,
        description="Draw once when it is loaded, so that what drawing takes is measured too. "
        "As it comes, on an accelerator.",
    )
    note: str = Field("", description="Told with every picture, e.g. what the model cannot do.")
    timeout_s: float = Field(300.0, gt=0, description="Longest silence while it draws.")
