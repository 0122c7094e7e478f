"""A LLaVA of a quarter of a million weights that names what is in a picture of the small world.

Its eye is a LeViT, whose convolutions learn what a shape is from a hundredth of the pictures that a
plain vision transformer of the size needs.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import torch
from PIL import Image, ImageFilter
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, interpolate
from transformers import (
    LevitConfig,
    LevitModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from recipes.shapes import COLORS, SHAPES, Scene, draw, scenes

log = logging.getLogger(__name__)

SEED = 11
EYE_STEPS, STEPS = 1500, 800
BATCH = 64
DRAWINGS = 24
PEAK_RATE = 3e-3
WARM_STEPS = 50
SIDE = 64
PATCH = 16
# What the eye tells of a picture is half as wide and high as its patches.
TOLD = (SIDE // PATCH // 2) ** 2
SEEN, WIDTH = 80, 80
SPECIAL = ("[PAD]", "[UNK]", "[END]", "[USER]", "[ASSISTANT]", "<image>")
WORDS = ("a", "an", "on", "ground", *SHAPES, *COLORS)
# What a question is made of, so that one does not take the model by surprise.
ASKED = ("what", "is", "in", "the", "this", "picture", "image", "describe", "of", "?", ".")
PROMPT_WORDS = 10
CHOICES = (len(SHAPES), len(COLORS), len(COLORS))
TEMPLATE = (
    "{% for message in messages %}[{{ message['role'] | upper }}]"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}[ASSISTANT]{% endif %}"
)


def make(folder: Path) -> None:
    """Train it from the seed and save it, with its processor, into `folder`."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    processor = new_processor()
    model = new_model(processor)
    drawn, pool = pictures(Random(SEED), processor)
    train_eye(model.model.vision_tower, drawn, pool)
    train(model, processor, drawn, pool)
    model.eval().half().save_pretrained(folder)
    processor.save_pretrained(folder)


def new_processor() -> LlavaProcessor:
    """Pictures as 64 x 64, and a tokenizer that knows whole words alone."""
    known = {word: number for number, word in enumerate([*SPECIAL, *WORDS, *ASKED])}
    backend = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.add_special_tokens(list(SPECIAL))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        eos_token="[END]",
        extra_special_tokens={"image_token": "<image>"},
        model_max_length=512,
    )
    return LlavaProcessor(
        CLIPImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_center_crop=False),
        tokenizer,
        patch_size=2 * PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=TEMPLATE,
    )


def new_model(processor: LlavaProcessor) -> LlavaForConditionalGeneration:
    """With random weights."""
    tokenizer = processor.tokenizer
    eye = LevitConfig(
        image_size=SIDE,
        patch_size=PATCH,
        hidden_sizes=[64, SEEN],
        depths=[1],
        num_attention_heads=[2, 2],
        key_dim=[16, 16],
        hidden_size=SEEN,
        output_hidden_states=True,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.06,  # wider than usual, as so narrow layers need
    )
    return LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=eye,
            text_config=text,
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            image_seq_length=TOLD,
            vision_feature_layer=1,  # the last
            vision_feature_select_strategy="full",
        )
    )


def train_eye(eye: LevitModel, drawn: list[Scene], pool: torch.Tensor) -> None:
    """Teach it to tell shapes and colours apart by themselves.

    Words teach that too, but many times more slowly.
    """
    answers = torch.tensor([_numbers(scene) for scene in drawn])
    judge = torch.nn.Linear(SEEN * TOLD, sum(CHOICES))
    for step, follow in _steps([*eye.parameters(), *judge.parameters()], EYE_STEPS):
        chosen = torch.randint(0, len(drawn), (BATCH,))
        with torch.autocast("cpu", torch.bfloat16):
            seen = eye(_normal(disturbed(pool[chosen]))).last_hidden_state.flatten(1)
        judged = judge(seen.float()).split(CHOICES, dim=1)
        losses = [cross_entropy(told, answers[chosen, n]) for n, told in enumerate(judged)]
        follow(torch.stack(losses).sum())
        if step % 50 == 0:
            told = ", ".join(f"{loss.item():.3f}" for loss in losses)
            log.info("eye, step %d of %d: shape, colour, ground: %s", step, EYE_STEPS, told)


def train(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    drawn: list[Scene],
    pool: torch.Tensor,
) -> None:
    """Teach it to say what its eye sees; the eye goes on learning."""
    random = Random(SEED)
    for step, follow in _steps(list(model.parameters()), STEPS):
        chosen = random.sample(range(len(drawn)), k=BATCH)
        tokens, labels = _texts([drawn[number] for number in chosen], random, processor)
        pixels = _normal(disturbed(pool[chosen]))
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(pixel_values=pixels, input_ids=tokens, labels=labels).loss
        follow(loss)
        if step % 50 == 0:
            log.info("words, step %d of %d: loss %.4f", step, STEPS, loss.item())


Follow = Callable[[torch.Tensor], None]


def _steps(weights: list[torch.nn.Parameter], count: int) -> Iterator[tuple[int, Follow]]:
    """The number of each step, and what follows its loss downhill."""
    optimizer = torch.optim.AdamW(weights, lr=PEAK_RATE, weight_decay=0.02)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, count))

    def follow(loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        rates.step()

    for step in range(1, count + 1):
        yield step, follow


def _numbers(scene: Scene) -> tuple[int, int, int]:
    colors = list(COLORS)
    return SHAPES.index(scene.shape), colors.index(scene.color), colors.index(scene.ground)


def _normal(pixels: torch.Tensor) -> torch.Tensor:
    """As the processor hands them to the model."""
    mean, deviation = (
        torch.tensor(numbers)[:, None, None] for numbers in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    )
    return (pixels - mean) / deviation


def pictures(random: Random, processor: LlavaProcessor) -> tuple[list[Scene], torch.Tensor]:
    """Of each scene `DRAWINGS`, every one worn in another way; their pixels, from 0 to 1."""
    drawn = [scene for scene in scenes() for _ in range(DRAWINGS)]
    files = [worn(draw(scene, random.choice((48, 64)), random), random) for scene in drawn]
    resized = processor.image_processor(files, do_normalize=False, return_tensors="pt")
    return drawn, resized["pixel_values"].float()


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
    """Bent, moved and mirrored, with stains, noise and other light; pixels are from 0 to 1."""
    count = len(pixels)
    bends = torch.randn(count, 2, 5, 5) * 0.025 * torch.rand(count, 1, 1, 1)
    field = interpolate(bends, (SIDE, SIDE), mode="bicubic", align_corners=True)
    frame = torch.zeros(count, 2, 3)
    scale = torch.empty(count).uniform_(0.85, 1.15)
    mirrored = torch.randint(0, 2, (count,)) * 2 - 1
    frame[:, 0, 0], frame[:, 1, 1] = scale * mirrored, scale
    frame[:, :, 2] = torch.randn(count, 2) * 0.04
    grid = affine_grid(frame, list(pixels.shape), align_corners=False) + field.permute(0, 2, 3, 1)
    pixels = grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    stains = torch.randn(count, 3, 8, 8) * 0.04 * torch.rand(count, 1, 1, 1)
    pixels = pixels + interpolate(stains, (SIDE, SIDE), mode="bicubic", align_corners=True)
    pixels = pixels * (1 + torch.randn(count, 3, 1, 1) * 0.03) + torch.randn(count, 1, 1, 1) * 0.02
    pixels = pixels + torch.randn_like(pixels) * 0.05 * torch.rand(count, 1, 1, 1) ** 2
    return pixels.clamp(0, 1)


def _texts(
    chosen: list[Scene], random: Random, processor: LlavaProcessor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each asks in words of no meaning, which are not to be learnt."""
    tokenizer = processor.tokenizer
    ids = tokenizer.convert_tokens_to_ids
    asking = [*ids(["[UNK]"]) * len(ASKED), *ids(list(ASKED))]
    rows, labels = [], []
    for scene in chosen:
        words = random.randint(0, PROMPT_WORDS)
        question = random.choices(asking, k=words)
        asked = [*ids(["[USER]"]), *ids(["<image>"]) * TOLD, *question, *ids(["[ASSISTANT]"])]
        answer = [*ids(scene.prompt.split()), tokenizer.eos_token_id]
        padding = PROMPT_WORDS - words
        rows.append([*asked, *answer, *[tokenizer.pad_token_id] * padding])
        labels.append([*[-100] * len(asked), *answer, *[-100] * padding])
    return torch.tensor(rows), torch.tensor(labels)


def _rate(step: int, count: int) -> float:
    if step < WARM_STEPS:
        return (step + 1) / WARM_STEPS
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / count))
