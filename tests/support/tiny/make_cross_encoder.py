"""Makes tiny cross-encoders in the real format, and what they say without any batching.

Run as a program, because torch has no place in the process of the tests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "cat",
    "dog",
    "tax",
    "a",
    "the",
    "sits",
    "is",
]
QUERY = "the cat"


def texts() -> list[str]:
    return [" ".join(WORDS[5 + (n * k) % 7] for k in range(1, 2 + n * 9 % 61)) for n in range(30)]


def make(folder: Path, labels: int) -> None:
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=48)
    torch.manual_seed(labels)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=48,
        num_labels=labels,
        initializer_range=0.4,
    )
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    scores = []
    for text in texts():
        pair = tokenizer(QUERY, text, truncation=True, max_length=48, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**pair).logits[0]
        probability = torch.softmax(logits, 0)[-1] if labels > 1 else torch.sigmoid(logits[0])
        scores.append(float(probability))
    (folder / "expected.json").write_text(
        json.dumps({"query": QUERY, "texts": texts(), "scores": scores})
    )


if __name__ == "__main__":
    for labels in (1, 2, 3):
        make(Path(sys.argv[1]) / f"labels{labels}", labels)
