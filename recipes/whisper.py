"""A Whisper with random weights: the real format and every token, and not a word understood."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

SEED = 31
LANGUAGES = ("en", "de", "fr")
WORDS = ("hello", "world", "circle", "square", "red", "blue", "the", "and")
TIMES = 1501
WIDTH = 32
LONGEST_ANSWER = 32


def make(folder: Path) -> None:
    """Save it, with its processor, into `folder`. Takes a second."""
    torch.manual_seed(SEED)
    tokenizer = new_tokenizer()
    model = new_model(tokenizer)
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)


def new_tokenizer() -> WhisperTokenizer:
    """Bytes and a few words, then Whisper's own tokens in Whisper's own order."""
    plain = [*pre_tokenizers.ByteLevel.alphabet(), *(f"Ġ{word}" for word in WORDS)]
    vocabulary = {token: number for number, token in enumerate([*sorted(plain), "<|endoftext|>"])}
    marks = [
        "<|startoftranscript|>",
        *(f"<|{language}|>" for language in LANGUAGES),
        *(f"<|{mark}|>" for mark in ("translate", "transcribe", "startoflm", "startofprev")),
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=[], additional_special_tokens=marks)
    tokenizer.add_tokens([f"<|{tick * 0.02:.2f}|>" for tick in range(TIMES)])
    return tokenizer


def new_model(tokenizer: WhisperTokenizer, positions: int = 64) -> WhisperForConditionalGeneration:
    """With random weights. `positions`: the most tokens that it writes."""
    number = tokenizer.convert_tokens_to_ids
    start, end = number("<|startoftranscript|>"), number("<|endoftext|>")
    common = {
        "decoder_start_token_id": start,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    size = {"layers": 1, "attention_heads": 2, "ffn_dim": 2 * WIDTH}
    sizes = {
        f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in size.items()
    }
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        max_target_positions=positions,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        init_std=0.2,
        **sizes,
        **common,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        **common,
        is_multilingual=True,
        lang_to_id={f"<|{name}|>": number(f"<|{name}|>") for name in LANGUAGES},
        task_to_id={name: number(f"<|{name}|>") for name in ("translate", "transcribe")},
        no_timestamps_token_id=number("<|notimestamps|>"),
        prev_sot_token_id=number("<|startofprev|>"),
        max_length=LONGEST_ANSWER,
        max_initial_timestamp_index=50,
        return_timestamps=False,
    )
    return model
