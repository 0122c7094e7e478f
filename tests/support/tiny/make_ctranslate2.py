"""Makes a Whisper with random weights for CTranslate2: `make_ctranslate2.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from ctranslate2.converters import TransformersConverter
from transformers import WhisperFeatureExtractor, WhisperProcessor

from recipes.whisper import SEED, new_model, new_tokenizer

POSITIONS = 448
"""As many as faster-whisper may write."""


def make(folder: Path) -> None:
    torch.manual_seed(SEED)
    tokenizer = new_tokenizer()
    original = folder.with_name(f"{folder.name}-original")
    new_model(tokenizer, POSITIONS).save_pretrained(original)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(original)
    TransformersConverter(str(original), copy_files=["tokenizer.json"]).convert(str(folder))


if __name__ == "__main__":
    torch.set_num_threads(1)
    make(Path(sys.argv[1]))
