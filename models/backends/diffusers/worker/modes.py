"""What a pipeline can do: from words, from a picture, within a mask."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

from diffusers import (
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    AutoPipelineForText2Image,
)

from models.capabilities.image import Mode

AUTO: dict[Mode, Any] = {
    "generate": AutoPipelineForText2Image,
    "edit": AutoPipelineForImage2Image,
    "inpaint": AutoPipelineForInpainting,
}
USUAL_LATENTS = 128
MASKED_CHANNELS = (4, 9)


def by_mode(pipeline: Any) -> dict[Mode, Any]:
    """Build a pipeline for each mode, all of the same weights."""
    own = _own_mode(pipeline)
    if _takes_mask(pipeline):
        return {own: pipeline}
    pipelines: dict[Mode, Any] = {}
    for mode, auto in AUTO.items():
        with contextlib.suppress(ValueError):
            other = auto.from_pipe(pipeline)
            other.set_progress_bar_config(disable=True)
            if not _refuses(other):
                pipelines[mode] = pipeline if type(other) is type(pipeline) else other
    return pipelines or {own: pipeline}


def parameters(pipeline: Any) -> Mapping[str, inspect.Parameter]:
    """List what a call of it takes."""
    return inspect.signature(type(pipeline).__call__).parameters


def usual_size(pipeline: Any) -> tuple[int, int]:
    """Read the width and height that it was trained for."""
    core = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    latents = getattr(pipeline, "default_sample_size", None)
    latents = latents or getattr(getattr(core, "config", None), "sample_size", None)
    height, width = latents if isinstance(latents, (list, tuple)) else (latents, latents)
    scale = getattr(pipeline, "vae_scale_factor", 8)
    return (width or USUAL_LATENTS) * scale, (height or USUAL_LATENTS) * scale


def grid(pipeline: Any) -> int:
    """Return the number of which sides must be multiples."""
    config = getattr(getattr(pipeline, "image_processor", None), "config", None)
    scale: int = getattr(config, "vae_scale_factor", 0) or getattr(pipeline, "vae_scale_factor", 8)
    patch = getattr(pipeline, "patch_size", 1)
    return scale * (patch if isinstance(patch, int) else 1)


def _refuses(pipeline: Any) -> bool:
    """Tell whether it takes a mask, and latents of other widths alone than its denoiser has."""
    name, core = type(pipeline).__name__, getattr(pipeline, "unet", None)
    fixed = name.startswith("StableDiffusion") and "mask_image" in parameters(pipeline)
    return fixed and core is not None and core.config.in_channels not in MASKED_CHANNELS


def _own_mode(pipeline: Any) -> Mode:
    taken = parameters(pipeline)
    if "mask_image" in taken:
        return "inpaint"
    return "edit" if "image" in taken else "generate"


def _takes_mask(pipeline: Any) -> bool:
    """Tell whether its denoiser was made for masks alone, as its inputs tell."""
    core, decoder = getattr(pipeline, "unet", None), getattr(pipeline, "vae", None)
    if core is None or decoder is None:
        return False
    latents = getattr(decoder.config, "latent_channels", None)
    return latents is not None and core.config.in_channels == 2 * latents + 1
