"""A Stable Diffusion pipeline that draws the small world from a prompt: `models/small/drawing`.

Text encoder, autoencoder and denoiser are trained one after the other, on one thread.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

import torch

from recipes.drawing.assembled import assemble, measure
from recipes.drawing.autoencoder import train_autoencoder
from recipes.drawing.denoiser import train_denoiser
from recipes.drawing.scale import SEED
from recipes.drawing.text import train_text

log = logging.getLogger(__name__)


def make(folder: Path, seed: int = SEED) -> None:
    """Train the model, save it into the folder, and tell how well it draws."""
    torch.set_num_threads(1)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as parts:
        log.info("prompts read right: %.1f %%", 100 * train_text(Path(parts), seed))
        log.info("a pixel is off by %.2f of 255", train_autoencoder(Path(parts), seed))
        train_denoiser(Path(parts), seed)
        assemble(Path(parts), folder)
    log.info("trained in %.0f s", time.monotonic() - begun)
    quality = measure(folder, seed)
    log.info(
        "right: %.1f %% of scenes, %.1f %% within stories; %.2f s a picture",
        100 * quality.scenes,
        100 * quality.stories,
        quality.seconds_each,
    )
