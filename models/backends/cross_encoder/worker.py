"""The worker's side of cross-encoders: the only place that imports torch for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from config.errors import Cancelled, Invalid, Unavailable
from models.backends.common.batches import batches, fastest_dtype
from models.backends.common.worker import Placement
from models.workers.host import Answer, TaskHandle

CPU_TOKEN_BUDGET = 512
GPU_TOKEN_BUDGET = 32_768
"""Tokens of a batch, padding included."""
UNLIMITED_TOKENS = 4096
"""For a model that names no limit: bounds the memory of one pair."""

Loaded = TypeVar("Loaded")


class CrossEncoderHandler:
    """Scores texts for a query. Options: `source`, `dtype`, `threads`, `max_tokens`, `device`."""

    def __init__(self, options: dict[str, Any]) -> None:
        torch.set_num_threads(1)  # one thread a batch, as in the embedder
        disable_progress_bar()
        self._placement = Placement(options["device"])
        self._device = self._placement.device
        on_gpu = not self._placement.on_cpu
        self._budget = GPU_TOKEN_BUDGET if on_gpu else CPU_TOKEN_BUDGET
        workers = 1 if on_gpu else options["threads"]
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rerank")
        dtype = options["dtype"] if options["dtype"] != "auto" else fastest_dtype()
        source = options["source"]
        self._tokenizer = _load(AutoTokenizer.from_pretrained, source)
        model = _load(
            AutoModelForSequenceClassification.from_pretrained,
            source,
            dtype=torch.bfloat16
            if on_gpu and options["dtype"] == "auto"
            else getattr(torch, dtype),
        )
        self._model = model.eval().to(self._device)
        if model.config.num_labels not in (1, 2):
            raise Invalid(
                f"It has {model.config.num_labels} labels: it is no cross-encoder for search.",
                code="capability_unsupported",
            )
        limits = [_limit(self._tokenizer, model.config), options["max_tokens"]]
        self._max_tokens = min(limit for limit in limits if limit)
        self._scores("warm", ["up"], lambda: False)

    def memory(self) -> dict[str, Any]:
        return self._placement.memory()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        scores = self._scores(header["query"], header["texts"], task.cancelled)
        return {}, scores.astype("<f4").tobytes()

    def _scores(
        self, query: str, texts: Sequence[str], cancelled: Callable[[], bool]
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        pairs = self._tokenizer(
            [query] * len(texts),
            list(texts),
            truncation="longest_first",
            max_length=self._max_tokens,
        )
        scores = np.empty(len(texts), np.float32)

        def compute(batch: Sequence[int]) -> None:
            if cancelled():
                raise Cancelled("The caller gave up.")
            part = {name: [rows[number] for number in batch] for name, rows in pairs.items()}
            scores[batch] = self._batch(part)

        together = batches([len(row) for row in pairs["input_ids"]], self._budget)
        for _ in self._pool.map(compute, together):
            pass  # so that an error is raised
        return scores

    @torch.inference_mode()
    def _batch(self, part: dict[str, Any]) -> Any:
        inputs = self._tokenizer.pad(part, return_tensors="pt").to(self._device)
        logits = self._model(**inputs).logits.float()
        # Two labels are "no" and "yes": their softmax is the sigmoid of the difference.
        odds = logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
        return torch.sigmoid(odds).cpu().numpy()


def _load(load: Callable[..., Loaded], source: str, **options: Any) -> Loaded:
    """Load a part of the model from its folder. Raises `Unavailable` (`model_unreadable`)."""
    try:
        return load(source, local_files_only=True, **options)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"Its files cannot be read: {error}"[:1200], code="model_unreadable"
        ) from error


def _limit(tokenizer: Any, config: Any) -> int:
    """Return how many tokens the model reads."""
    positions = getattr(config, "max_position_embeddings", None) or UNLIMITED_TOKENS
    if "roberta" in config.model_type:
        positions -= config.pad_token_id + 1  # its positions begin after that of the padding
    return int(min(tokenizer.model_max_length, positions))
