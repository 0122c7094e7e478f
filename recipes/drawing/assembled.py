"""The parts as one pipeline, and how well it draws."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from recipes.drawing.denoiser import make_scheduler
from recipes.drawing.words import STORY_LINES
from recipes.judge import read
from recipes.shapes import Scene, scenes

log = logging.getLogger(__name__)

DRAWN_STEPS = 12
DRAWN_GUIDANCE = 2.0
TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Quality:
    """Shares of pictures that were right, and the time of one."""

    scenes: float
    stories: float
    seconds_each: float


def assemble(parts: Path, folder: Path) -> None:
    """Save the parts as a Stable Diffusion pipeline of half the size."""
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(parts / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(parts / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(parts / "tokenizer"),
        unet=UNet2DConditionModel.from_pretrained(parts / "unet"),
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.to(dtype=torch.float16).save_pretrained(folder)


def measure(folder: Path, seed: int) -> Quality:
    """Every scene by its prompt, and within sentences of stories."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    every, random = list(scenes()), Random(seed)
    begun = time.monotonic()
    plain = _share(pipeline, [(scene, scene.prompt) for scene in every], seed)
    seconds = (time.monotonic() - begun) / len(every)
    told = [(scene, random.choice(STORY_LINES).format(scene.prompt)) for scene in every]
    return Quality(plain, _share(pipeline, told, seed + 1), seconds)


def _share(
    pipeline: StableDiffusionPipeline, wanted: Sequence[tuple[Scene, str]], seed: int
) -> float:
    right = 0
    for begin in range(0, len(wanted), TOGETHER):
        part = wanted[begin : begin + TOGETHER]
        images = drawn(pipeline, [prompt for _, prompt in part], seed + begin)
        for (scene, prompt), image in zip(part, images, strict=True):
            seen = read(image)
            right += seen == scene
            if seen != scene:
                log.info("%s: %s", prompt, seen)
    return right / len(wanted)


def drawn(
    pipeline: StableDiffusionPipeline, prompts: Sequence[str], seed: int
) -> list[Image.Image]:
    images: list[Image.Image] = pipeline(
        list(prompts),
        num_inference_steps=DRAWN_STEPS,
        guidance_scale=DRAWN_GUIDANCE,
        generator=[torch.Generator().manual_seed(seed + n) for n in range(len(prompts))],
    ).images
    return images
