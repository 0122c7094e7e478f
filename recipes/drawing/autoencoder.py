"""The autoencoder: pictures of 128 x 128 as 16 x 16 x 8 numbers, and back."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from recipes.drawing.pictures import pictured
from recipes.drawing.scale import LATENT_CHANNELS, PIXELS
from recipes.shapes import scenes

log = logging.getLogger(__name__)

STEPS = 900
BATCH = 16
# Parts of small pictures: mostly edges, which is what there is to learn, and little to compute.
SMALL, PART = PIXELS // 2, PIXELS // 4
AT_FULL_SIZE = 100
LEARNING_RATE = 2e-3
DIVERGENCE = 5e-4
CALM = 0.1
"""The share of pictures that show nothing."""
HANDING_ON = ("conv_in", "conv_shortcut", "samplers.0.conv", "quant_conv")
EVERY = tuple(scenes())


def make_autoencoder() -> AutoencoderKL:
    model = AutoencoderKL(
        sample_size=PIXELS,
        latent_channels=LATENT_CHANNELS,
        block_out_channels=(16, 32, 48, 48),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=1,
        mid_block_add_attention=False,
    )
    _let_through(model)
    return model


@torch.no_grad()
def _let_through(model: AutoencoderKL) -> None:
    """Begin as a network that hands colours on, which saves it most of the learning."""
    for name, layer in model.named_modules():
        if name.endswith(HANDING_ON):
            nn.init.dirac_(layer.weight)
            layer.weight.add_(0.02 * torch.randn_like(layer.weight))
            nn.init.zeros_(layer.bias)
        elif name.endswith("conv2"):
            layer.weight.mul_(0.1)
            nn.init.zeros_(layer.bias)
    # And sure of its latents: drowned in noise they would not learn for long.
    model.quant_conv.weight[LATENT_CHANNELS:] = 0.0
    model.quant_conv.bias[LATENT_CHANNELS:] = -6.0


def train_autoencoder(folder: Path, seed: int) -> float:
    """Make it and save it. The mean difference of a pixel, of 255, on unseen pictures."""
    torch.manual_seed(seed)
    model = make_autoencoder().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS, pct_start=0.1)
    begun = time.monotonic()
    for step, pixels in enumerate(_batches(Random(seed))):
        posterior = model.encode(pixels).latent_dist
        away = (model.decode(posterior.sample()).sample - pixels).abs().mean()
        loss = away + DIVERGENCE * posterior.kl().mean() / posterior.mean[0].numel()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 0:
            log.info(
                "autoencoder %d: %.4f, %.0f s", step, float(away.detach()), time.monotonic() - begun
            )
    away_mean = _measure(model.eval(), Random(seed + 1))
    model.save_pretrained(folder / "vae")
    return away_mean


def _batches(random: Random) -> Iterator[Tensor]:
    for step in range(STEPS):
        if step >= STEPS - AT_FULL_SIZE:
            yield torch.stack([_picture(PIXELS, random) for _ in range(BATCH // 4)])
        else:
            yield torch.stack([_part(_picture(SMALL, random), random) for _ in range(BATCH)])


def _picture(size: int, random: Random) -> Tensor:
    shown = None if random.random() < CALM else random.choice(EVERY)
    return pictured(shown, size, random)


def _part(pixels: Tensor, random: Random) -> Tensor:
    down, right = (random.randint(0, SMALL - PART) for _ in range(2))
    return pixels[:, down : down + PART, right : right + PART]


@torch.inference_mode()
def _measure(model: AutoencoderKL, random: Random) -> float:
    """And set the factor that gives latents a deviation of 1, as the denoiser wants them."""
    pixels = torch.stack([pictured(random.choice(EVERY), PIXELS, random) for _ in range(64)])
    latents = model.encode(pixels).latent_dist.mean
    model.register_to_config(scaling_factor=round(1 / latents.std().item(), 4))
    log.info("latents: mean %s, std %s", latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    return float((model.decode(latents).sample.clamp(-1, 1) - pixels).abs().mean() * 127.5)
