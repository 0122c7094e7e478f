"""The arguments of a pipeline's call: its own names for what was ordered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from models.backends.diffusers.worker.modes import parameters
from models.backends.diffusers.worker.request import CheckedRequest, invalid


def uses(pipeline: Any, name: str) -> bool:
    """Whether its call takes an argument of this name."""
    return name in parameters(pipeline)


def call_of(
    pipeline: Any, wanted: CheckedRequest, count: int, generators: Sequence[torch.Generator]
) -> dict[str, Any]:
    """Raises `Invalid` for a field that was given and that the pipeline does not know."""
    arguments = {
        "prompt": wanted.prompt,
        "num_inference_steps": wanted.steps,
        "num_images_per_prompt": count,
        "generator": list(generators),
        "output_type": "pil",
    }
    arguments |= {
        name: value
        for name, value in _optional(wanted).items()
        if value is not None and uses(pipeline, name)
    }
    for name, value in (
        ("negative_prompt", wanted.negative_prompt or None),
        ("strength", strength_of(pipeline, wanted)),
    ):
        if value is None:
            continue
        if not uses(pipeline, name):
            raise invalid(
                name, "this model knows no such thing; leave it out", "capability_unsupported"
            )
        arguments[name] = value
    return arguments


def strength_of(pipeline: Any, wanted: CheckedRequest) -> float | None:
    """How much of the image is drawn anew: as asked for, else as the pipeline does it."""
    if wanted.image is None:
        return None
    strength = wanted.strength
    if strength is None and uses(pipeline, "strength"):
        strength = parameters(pipeline)["strength"].default
    if strength is not None and int(wanted.steps * strength) < 1:
        reason = f"with {strength:g} of {wanted.steps} steps there is nothing to draw"
        raise invalid("strength", f"{reason}; at least {1 / wanted.steps:.3f}, or more steps")
    return strength


def _optional(wanted: CheckedRequest) -> dict[str, Any]:
    """What a pipeline may take otherwise: the size from the image, guidance not at all."""
    return {
        "width": wanted.width,
        "height": wanted.height,
        "guidance_scale": wanted.guidance,
        "image": wanted.image,
        "mask_image": wanted.mask,
    }
