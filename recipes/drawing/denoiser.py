"""The denoiser: draws latents for what the text encoder says."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from recipes.drawing.pictures import Steady, pictured
from recipes.drawing.scale import LATENT_CHANNELS, PIXELS, TEXT_WIDTH
from recipes.drawing.text import tokenized
from recipes.drawing.words import Told, told
from recipes.shapes import Scene, scenes

log = logging.getLogger(__name__)

STEPS = 3200
BATCH = 24
LEARNING_RATE = 1.5e-3
AVERAGED = 0.99
PICTURES_EACH, CALM_PICTURES = 3, 40
PROMPTS_EACH = 12


def make_scheduler() -> DDIMScheduler:
    """Noise that at its last step leaves nothing of the picture: grounds get their true colour."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def make_denoiser() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=PIXELS // 8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(32, 64, 96),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,
        norm_num_groups=8,
    )


@dataclass(frozen=True, slots=True)
class Lessons:
    """Latents of pictures by their scene, and states of prompts with what they tell of."""

    latents: dict[Scene | None, Tensor]
    prompts: list[tuple[Scene | None, Tensor]]

    def batch(self, random: Random) -> tuple[Tensor, Tensor]:
        """Latents, and the states of prompts that tell of them."""
        chosen = random.choices(self.prompts, k=BATCH)
        drawn = [random.choice(self.latents[scene]) for scene, _ in chosen]
        return torch.stack(drawn), torch.stack([states for _, states in chosen])


def _shown(scene: Scene, prompt: Told) -> Scene | None:
    return None if prompt.text and prompt.names_nothing else scene


def train_denoiser(folder: Path, seed: int) -> None:
    """Make it, with the text encoder and the autoencoder of the folder, and save it there."""
    torch.manual_seed(seed)
    lessons = _lessons(folder, Random(seed))
    noise = make_scheduler()
    model = make_denoiser()
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS, pct_start=0.1)
    begun, shown = time.monotonic(), 0.0
    for step, (latents, states) in enumerate(_batches(lessons, Random(seed))):
        loss = _loss(model, noise, latents, states)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        _move(average, model, min(AVERAGED, (step + 1) / (step + 10)))
        shown = 0.98 * shown + 0.02 * float(loss.detach())
        if step % 100 == 99:
            log.info("denoiser %d: %.4f, %.0f s", step + 1, shown, time.monotonic() - begun)
            average.save_pretrained(folder / "unet")
    average.save_pretrained(folder / "unet")


def _batches(lessons: Lessons, random: Random) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(STEPS):
        yield lessons.batch(random)


def _loss(
    model: UNet2DConditionModel, noise: DDIMScheduler, latents: Tensor, states: Tensor
) -> Tensor:
    added = torch.randn_like(latents)
    times = torch.randint(0, noise.config.num_train_timesteps, (len(latents),))
    said = model(noise.add_noise(latents, added, times), times, states).sample
    return functional.mse_loss(said, noise.get_velocity(latents, added, times))


@torch.no_grad()
def _move(average: nn.Module, model: nn.Module, kept: float) -> None:
    for mean, now in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(now, 1 - kept)


@torch.no_grad()
def _lessons(folder: Path, random: Random) -> Lessons:
    coder = AutoencoderKL.from_pretrained(folder / "vae").eval()
    steady = Steady(random.random())
    latents: dict[Scene | None, Tensor] = {}
    for scene, count in [*((scene, PICTURES_EACH) for scene in scenes()), (None, CALM_PICTURES)]:
        pixels = torch.stack([pictured(scene, PIXELS, steady) for _ in range(count)])
        latents[scene] = coder.encode(pixels).latent_dist.mean * coder.config.scaling_factor
    log.info("%d pictures encoded", sum(len(found) for found in latents.values()))
    return Lessons(latents, _prompts(folder, random))


def _prompts(folder: Path, random: Random) -> list[tuple[Scene | None, Tensor]]:
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
    found: list[tuple[Scene | None, Tensor]] = []
    for scene in scenes():
        prompts = [told(scene, random) for _ in range(PROMPTS_EACH)]
        ids = tokenized(tokenizer, [one.text for one in prompts])
        shown = [_shown(scene, one) for one in prompts]
        found += zip(shown, encoder(ids).last_hidden_state, strict=True)
    return found
