"""Small pictures of what is being drawn."""

from __future__ import annotations

import io
from typing import Any

import torch
from PIL import Image
from torch.nn import functional

SIDE = 128
QUALITY = 75


@torch.inference_mode()
def preview(pipeline: Any, latents: torch.Tensor, size: tuple[int, int]) -> bytes:
    """Draw a JPEG file of at most 128 x 128; empty for latents of a kind unknown here.

    They are made small before they are decoded: that costs little with any decoder.
    """
    decoder = getattr(pipeline, "vae", None)
    # One that is offloaded would drive the denoiser off the device, at every step.
    if decoder is None or hasattr(decoder, "_hf_hook"):
        return b""
    if latents.ndim == 3 and hasattr(pipeline, "_unpack_latents"):
        width, height = size
        latents = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)
    if latents.ndim != 4 or latents.shape[1] != decoder.config.latent_channels:
        return b""
    small = _small(latents[:1].float(), pipeline.vae_scale_factor)
    # Early on, latents of some schedulers are many times larger than those of a picture.
    small = small / small.std().clamp(min=1.0)
    small = small / decoder.config.scaling_factor
    small = small + (getattr(decoder.config, "shift_factor", None) or 0.0)
    pixels = decoder.decode(small.to(decoder.dtype), return_dict=False)[0][0]
    return _jpeg(pixels)


def _small(latents: torch.Tensor, scale: int) -> torch.Tensor:
    longest = max(latents.shape[-2:]) * scale
    if longest <= 2 * SIDE:
        return latents
    sides = [max(8, side * 2 * SIDE // longest) for side in latents.shape[-2:]]
    # Averages of noise shrink; the step above brings nothing back, and previews stay calm.
    return functional.interpolate(latents, size=sides, mode="area")


def _jpeg(pixels: torch.Tensor) -> bytes:
    values = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
    image = Image.fromarray(values.cpu().numpy())
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
