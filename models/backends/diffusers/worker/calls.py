"""The arguments of a pipeline's call: its own names for what was ordered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from models.backends.diffusers.worker.modes import parameters
from models.backends.diffusers.worker.request import CheckedRequest, invalid


def uses(pipeline: Any, name: str) -> bool:
    """Tell whether its call takes an argument of this name."""
    return name in parameters(pipeline)


def call_of(
    pipeline: Any, request: CheckedRequest, count: int, generators: Sequence[torch.Generator]
) -> dict[str, Any]:
    """Build the arguments. Raises `Invalid` for a field that the pipeline does not know."""
    arguments = {
        "prompt": request.prompt,
        "num_inference_steps": request.steps,
        "num_images_per_prompt": count,
        "generator": list(generators),
        "output_type": "pil",
    }
    arguments |= {
        name: value
        for name, value in _optional(request).items()
        if value is not None and uses(pipeline, name)
    }
    for name, value in (
        ("negative_prompt", request.negative_prompt or None),
        ("strength", strength_of(pipeline, request)),
    ):
        if value is None:
            continue
        if not uses(pipeline, name):
            raise invalid(
                name, "this model knows no such thing; leave it out", "capability_unsupported"
            )
        arguments[name] = value
    return arguments


def strength_of(pipeline: Any, request: CheckedRequest) -> float | None:
    """Decide how much of the image is drawn anew: as asked for, else as the pipeline does it."""
    if request.image is None:
        return None
    strength = request.strength
    if strength is None and uses(pipeline, "strength"):
        strength = parameters(pipeline)["strength"].default
    if strength is not None and int(request.steps * strength) < 1:
        reason = f"with {strength:g} of {request.steps} steps there is nothing to draw"
        raise invalid("strength", f"{reason}; at least {1 / request.steps:.3f}, or more steps")
    return strength


def _optional(request: CheckedRequest) -> dict[str, Any]:
    """Return what a pipeline may take otherwise: the size from the image, guidance not at all."""
    return {
        "width": request.width,
        "height": request.height,
        "guidance_scale": request.guidance,
        "image": request.image,
        "mask_image": request.mask,
    }
