"""The tokenizer and the text encoder, which learns to say what a prompt asks for."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from recipes.drawing.scale import TEXT_TOKENS, TEXT_WIDTH
from recipes.drawing.words import Told, told, vocabulary
from recipes.shapes import COLORS, SHAPES, scenes

log = logging.getLogger(__name__)

SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-:;"
WORD_END = "</w>"
STEPS = 900
BATCH = 48
LEARNING_RATE = 2e-3
COLOR_NAMES, SHAPE_NAMES = list(COLORS), list(SHAPES)


def make_tokenizer() -> CLIPTokenizer:
    """CLIP's own, with a small vocabulary: every word of ours is one token, others are pieces."""
    pieces = sorted({sign + end for sign in SIGNS for end in ("", WORD_END)})
    merges = _merges(vocabulary())
    tokens = ["<unk>", "<|startoftext|>", "<|endoftext|>", *pieces, *map("".join, merges)]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(dict.fromkeys(tokens))},
        merges=merges,
        unk_token="<unk>",
        model_max_length=TEXT_TOKENS,
    )


def _merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair encoding, the most frequent pair first, until every word is one token.

    The library's own trainer breaks ties by chance, and so makes another tokenizer each time.
    """
    split = [[*word[:-1], word[-1] + WORD_END] for word in words]
    merges: list[tuple[str, str]] = []
    while pairs := Counter(pair for parts in split for pair in pairwise(parts)):
        chosen = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(chosen)
        split = [_merged(parts, chosen) for parts in split]
    return merges


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


class TextLearner(nn.Module):
    """The encoder with heads that name colour, shape and ground, at the end and ever after."""

    def __init__(self, vocabulary: int, end: int) -> None:
        super().__init__()
        config = CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=TEXT_TOKENS,
            bos_token_id=1,
            eos_token_id=end,
            pad_token_id=end,
        )
        self.encoder = CLIPTextModel(config)
        sizes = (len(COLORS) + 1, len(SHAPES) + 1, len(COLORS) + 1, 2)
        self.heads = nn.ModuleList(nn.Linear(TEXT_WIDTH, size) for size in sizes)

    def forward(self, ids: Tensor, ended: Tensor) -> list[Tensor]:
        """The scores of each head at every place from the end of the text on."""
        states = self.encoder(ids).last_hidden_state[ended]
        return [head(states) for head in self.heads]


def answers(prompts: Sequence[Told]) -> Tensor:
    """What the heads should say: a row of four numbers for each prompt."""
    rows = [
        (
            COLOR_NAMES.index(one.color) if one.color else len(COLORS),
            SHAPE_NAMES.index(one.shape) if one.shape else len(SHAPES),
            COLOR_NAMES.index(one.ground) if one.ground else len(COLORS),
            int(not one.text),
        )
        for one in prompts
    ]
    return torch.tensor(rows)


def tokenized(tokenizer: CLIPTokenizer, texts: Sequence[str], tokens: int = TEXT_TOKENS) -> Tensor:
    found = tokenizer(
        list(texts), padding="max_length", max_length=tokens, truncation=True, return_tensors="pt"
    )
    ids: Tensor = found.input_ids
    return ids


def train_text(folder: Path, seed: int) -> float:
    """Make both and save them. The share of unseen prompts that the heads read wholly right."""
    torch.manual_seed(seed)
    random = Random(seed)
    tokenizer = make_tokenizer()
    learner = TextLearner(len(tokenizer), tokenizer.eos_token_id)
    optimizer = torch.optim.AdamW(learner.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS)
    every = list(scenes())
    begun = time.monotonic()
    for step in range(STEPS):
        prompts = [told(random.choice(every), random) for _ in range(BATCH)]
        loss = _loss(learner, tokenizer, prompts, TEXT_TOKENS if step % 4 == 0 else None)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            log.info(
                "text %d: loss %.4f, %.0f s", step, float(loss.detach()), time.monotonic() - begun
            )
    share = _read_right(learner.eval(), tokenizer, Random(seed + 1))
    tokenizer.save_pretrained(folder / "tokenizer")
    learner.encoder.save_pretrained(folder / "text_encoder")
    return share


def _loss(
    learner: TextLearner, tokenizer: CLIPTokenizer, prompts: Sequence[Told], tokens: int | None
) -> Tensor:
    texts = [one.text for one in prompts]
    if tokens is None:  # shorter rows cost less, and the ends of all are seen
        longest = max(len(ids) for ids in tokenizer(texts).input_ids)
        tokens = min(TEXT_TOKENS, longest + 2)
    ids = tokenized(tokenizer, texts, tokens)
    ended = ids == tokenizer.eos_token_id
    wanted = answers(prompts)[:, None, :].expand(-1, ids.shape[1], -1)[ended]
    scores = learner(ids, ended)
    return torch.stack(
        [functional.cross_entropy(score, wanted[:, n]) for n, score in enumerate(scores)]
    ).sum()


@torch.inference_mode()
def _read_right(learner: TextLearner, tokenizer: CLIPTokenizer, random: Random) -> float:
    every = list(scenes())
    prompts = [told(random.choice(every), random) for _ in range(1000)]
    ids = tokenized(tokenizer, [one.text for one in prompts])
    last = torch.zeros_like(ids, dtype=torch.bool)
    last[:, -1] = True
    said = torch.stack([score.argmax(-1) for score in learner(ids, last)], dim=1)
    return float((said == answers(prompts)).all(dim=1).float().mean())
