"""A Llama of half a million weights that writes stories about coloured shapes."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from recipes.stories import Exchange, exchange

log = logging.getLogger(__name__)

SEED = 23
STEPS = 1800
BATCH = 32
PEAK_RATE = 2.5e-3
WARM_STEPS = 100
CONTEXT = 1024
TOKENS = 1024
WIDTH = 128
PAD, END = "<|pad|>", "<|end|>"
SPECIAL = (PAD, END, "<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def make(folder: Path) -> None:
    """Train it from the seed and save it, with its tokenizer, into `folder`."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    tokenizer = new_tokenizer()
    model = new_model(tokenizer)
    train(model, tokenizer)
    model.eval().half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def new_tokenizer() -> PreTrainedTokenizerFast:
    """Learnt from a thousand exchanges; any other text becomes bytes."""
    random = Random(SEED)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (exchange(random) for _ in range(1000))
    tokenizer.train_from_iterator(
        (f"{text.system} {text.request} {text.answer}" for text in texts), trainer
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=list(SPECIAL[2:]),
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """With random weights."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            # Wider than usual, as so narrow layers need.
            initializer_range=0.06,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Every exchange is a new one; only answers are learnt."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.05)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate)
    texts = batches(Random(SEED + 1), tokenizer)
    for step in range(1, STEPS + 1):
        tokens, labels = next(texts)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1]
            learnt = labels[:, 1:] != -100
            logits = model.lm_head(hidden[learnt])
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[:, 1:][learnt])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        if step % 50 == 0:
            log.info("step %d of %d: loss %.4f", step, STEPS, loss.item())


def batches(
    random: Random, tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Tokens and labels, for ever: texts of like length together, so that little is padding."""
    while True:
        rows = sorted((_row(exchange(random), tokenizer) for _ in range(8 * BATCH)), key=_length)
        groups = [rows[begin : begin + BATCH] for begin in range(0, len(rows), BATCH)]
        random.shuffle(groups)
        for group in groups:
            yield _padded(group, tokenizer.pad_token_id)


Row = tuple[list[int], int]
"""Tokens, and how many of them are the request's."""


def _row(text: Exchange, tokenizer: PreTrainedTokenizerFast) -> Row:
    messages = [{"role": "user", "content": text.request}]
    if text.system:
        messages.insert(0, {"role": "system", "content": text.system})
    asked = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    prompt = tokenizer.encode(asked)
    return [*prompt, *tokenizer.encode(text.answer + END)], len(prompt)


def _length(row: Row) -> int:
    return len(row[0])


def _padded(rows: list[Row], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(_length, rows))
    tokens = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), -100)
    for number, (row, asked) in enumerate(rows):
        tokens[number, : len(row)] = torch.tensor(row)
        labels[number, asked : len(row)] = tokens[number, asked : len(row)]
    return tokens, labels


def _rate(step: int) -> float:
    if step < WARM_STEPS:
        return (step + 1) / WARM_STEPS
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / STEPS))
