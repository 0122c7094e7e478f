"""A BLIP of under a million weights that names what is in a picture of the small world."""

from __future__ import annotations

import io
import logging
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from PIL import Image, ImageFilter
from torch.nn.functional import affine_grid, grid_sample, interpolate
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipProcessor,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from recipes.shapes import COLORS, SHAPES, Scene, draw, scenes

log = logging.getLogger(__name__)

SEED = 11
STEPS = 3000
BATCH = 64
PEAK_RATE = 1.5e-3
WARM_STEPS = 150
SIDE = 64
PATCH = 8
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]")
WORDS = ("a", "an", "on", "ground", *SHAPES, *COLORS)
# What a question is made of, so that one does not take the model by surprise.
ASKED = ("what", "is", "in", "the", "this", "picture", "image", "describe", "of", "?", ".")
PROMPT_WORDS = 6
WIDTH = 96


def make(folder: Path) -> None:
    """Train it from the seed and save it, with its processor, into `folder`."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    processor = new_processor()
    model = new_model(processor)
    train(model, processor)
    model.eval().half().save_pretrained(folder)
    processor.save_pretrained(folder)


def new_processor() -> BlipProcessor:
    """Pictures as 64 x 64, and a tokenizer that knows whole words alone."""
    with tempfile.TemporaryDirectory() as place:
        vocabulary = Path(place, "vocab.txt")
        vocabulary.write_text("\n".join([*SPECIAL, *WORDS, *ASKED]), encoding="utf-8")
        tokenizer = BertTokenizer(vocab=str(vocabulary), bos_token="[DEC]", model_max_length=32)
    images = BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    return BlipProcessor(images, tokenizer)


def new_model(processor: BlipProcessor) -> BlipForConditionalGeneration:
    """With random weights."""
    layers = {"num_attention_heads": 4, "hidden_size": WIDTH, "intermediate_size": 3 * WIDTH}
    tokenizer = processor.tokenizer
    text = {
        **layers,
        "num_hidden_layers": 2,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 32,
        "bos_token_id": tokenizer.convert_tokens_to_ids("[DEC]"),
        "eos_token_id": tokenizer.sep_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        **layers,
        "num_hidden_layers": 4,
        "image_size": SIDE,
        "patch_size": PATCH,
        "initializer_range": 0.02,
    }
    model = BlipForConditionalGeneration(
        BlipConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)
    )
    # Told from the start where a patch lies, it learns what a shape is several times sooner.
    model.vision_model.embeddings.position_embedding.data[0, 1:] = _places(SIDE // PATCH)
    return model


def train(model: BlipForConditionalGeneration, processor: BlipProcessor) -> None:
    """Pictures are drawn anew for every step; none is ever seen twice."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.02)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate)
    pictures = batches(Random(SEED), processor)
    for step in range(1, STEPS + 1):
        pixels, tokens, labels = next(pictures)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(pixel_values=pixels, input_ids=tokens, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        if step % 100 == 0:
            log.info("step %d of %d: loss %.4f", step, STEPS, loss.item())


def batches(random: Random, processor: BlipProcessor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Pixels, tokens and labels, for ever."""
    everything = list(scenes())
    images = processor.image_processor
    mean, deviation = (
        torch.tensor(numbers)[:, None, None] for numbers in (images.image_mean, images.image_std)
    )
    while True:
        chosen = random.choices(everything, k=BATCH)
        drawn = [worn(draw(scene, random.choice((40, 48, 64)), random), random) for scene in chosen]
        resized = images(drawn, do_normalize=False, return_tensors="pt")["pixel_values"]
        pixels = (disturbed(resized.float()) - mean) / deviation
        yield pixels, *_texts(chosen, random, processor)


def worn(image: Image.Image, random: Random) -> Image.Image:
    """As a picture is that came through a small decoder, a scaling or a JPEG file; or untouched."""
    size = image.size
    if random.random() < 0.4:
        small = random.randint(20, 48)
        image = image.resize((small, small), Image.Resampling.BILINEAR)
        image = image.resize(size, Image.Resampling.BICUBIC)
    if random.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.6)))
    if random.random() < 0.3:
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=random.randint(25, 90))
        image = Image.open(packed).convert("RGB")
    return image


def disturbed(pixels: torch.Tensor) -> torch.Tensor:
    """Bent, moved and scaled a little, with stains, noise and other light; pixels from 0 to 1."""
    count = len(pixels)
    bends = torch.randn(count, 2, 5, 5) * 0.025 * torch.rand(count, 1, 1, 1)
    field = interpolate(bends, (SIDE, SIDE), mode="bicubic", align_corners=True)
    frame = torch.zeros(count, 2, 3)
    frame[:, 0, 0] = frame[:, 1, 1] = torch.empty(count).uniform_(0.88, 1.12)
    frame[:, :, 2] = torch.randn(count, 2) * 0.04
    grid = affine_grid(frame, list(pixels.shape), align_corners=False) + field.permute(0, 2, 3, 1)
    pixels = grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    stains = torch.randn(count, 3, 8, 8) * 0.04 * torch.rand(count, 1, 1, 1)
    pixels = pixels + interpolate(stains, (SIDE, SIDE), mode="bicubic", align_corners=True)
    pixels = pixels * (1 + torch.randn(count, 3, 1, 1) * 0.03) + torch.randn(count, 1, 1, 1) * 0.02
    pixels = pixels + torch.randn_like(pixels) * 0.05 * torch.rand(count, 1, 1, 1) ** 2
    return pixels.clamp(0, 1)


def _texts(
    chosen: list[Scene], random: Random, processor: BlipProcessor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every third begins with words of a question, which are not to be learnt."""
    tokenizer = processor.tokenizer
    ids = tokenizer.convert_tokens_to_ids
    asking = [ids("[UNK]"), *ids([*ASKED, *WORDS])]
    rows, labels = [], []
    for scene in chosen:
        words = random.randint(1, PROMPT_WORDS) if random.random() < 0.33 else 0
        prompt = [ids("[DEC]"), *random.choices(asking, k=words)]
        answer = [*ids(scene.prompt.split()), tokenizer.sep_token_id]
        padding = PROMPT_WORDS - words
        rows.append([*prompt, *answer, *[tokenizer.pad_token_id] * padding])
        labels.append([*[-100] * len(prompt), *answer, *[-100] * padding])
    return torch.tensor(rows), torch.tensor(labels)


def _places(count: int) -> torch.Tensor:
    """Waves along both axes of a grid of `count` x `count` patches."""
    lengths = torch.pi / 2 ** torch.linspace(0, 3, WIDTH // 4)
    angles = torch.arange(count)[:, None] * lengths
    waves = torch.cat([angles.sin(), angles.cos()], dim=1) / 2
    rows = waves[:, None].expand(count, count, -1)
    columns = waves[None].expand(count, count, -1)
    return torch.cat([rows, columns], dim=2).reshape(count * count, WIDTH)


def _rate(step: int) -> float:
    if step < WARM_STEPS:
        return (step + 1) / WARM_STEPS
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / STEPS))
