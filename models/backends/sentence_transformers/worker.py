"""The worker's side of embedding models: the only place that imports their library."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from config.errors import Unavailable
from models.backends.common.batches import fastest_dtype
from models.backends.common.worker import Placement
from models.workers.host import Answer, TaskHandle

CPU_BATCH = 8
GPU_BATCH = 64
PADDING = {"text": {"pad_to_multiple_of": 32}}
"""On a CPU, PyTorch and oneDNN compile kernels for each length of a batch and keep them, about a
megabyte for each: without a step between lengths a worker grows with every text that it reads."""
READ_BYTES = 2**22
# What changes vectors: weights, tokens, pooling. Not the words about the model.
FINGERPRINTED_SUFFIXES = (".safetensors", ".bin", ".json", ".txt", ".model")


class SentenceTransformersHandler:
    """Methods: `about`, and `embed` (texts, query), which answers with float32 rows."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._placement = Placement(options["device"])
        torch.set_num_threads(options["threads"] if self._placement.on_cpu else 1)
        dtype = self._placement.dtype(options["dtype"], fastest_dtype())
        self._model = _opened(options, str(self._placement.device), dtype)
        if options["max_tokens"]:
            self._model.max_seq_length = min(options["max_tokens"], self._longest())
        self._prompts = {
            True: _prompt(self._model, options["query_prompt"], "query"),
            False: _prompt(self._model, options["document_prompt"], "document"),
        }
        settings = [str(dtype), str(self._longest()), self._prompts[True], self._prompts[False]]
        self._about = {
            "dimensions": self._model.get_embedding_dimension(),
            "fingerprint": _fingerprint(Path(options["source"]), settings, options["dimensions"]),
        }

    def memory(self) -> dict[str, Any]:
        return self._placement.memory()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return self._about, b""
        more = {"processing_kwargs": PADDING} if self._placement.on_cpu else {}
        try:
            rows = self._model.encode(
                header["texts"],
                prompt=self._prompts[header["query"]],
                batch_size=CPU_BATCH if self._placement.on_cpu else GPU_BATCH,
                normalize_embeddings=True,
                show_progress_bar=False,
                convert_to_tensor=True,
                **more,
            )
        except torch.OutOfMemoryError:
            self._placement.release()
            raise
        return {}, rows.float().cpu().numpy().astype("<f4").tobytes()

    def _longest(self) -> int:
        return int(self._model.max_seq_length or 0)


def _opened(options: dict[str, Any], device: str, dtype: torch.dtype) -> Any:
    try:
        return SentenceTransformer(
            options["source"],
            device=device,
            local_files_only=True,
            truncate_dim=options["dimensions"],
            model_kwargs={"dtype": dtype},
        )
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable(
            f"Its files cannot be read: {str(error)[:1000]}",
            code="model_unreadable",
        ) from error


def _prompt(model: Any, chosen: str | None, kind: str) -> str:
    """Return the words before a text: as chosen, else the model's own."""
    return chosen if chosen is not None else str(model.prompts.get(kind) or "")


def _fingerprint(folder: Path, settings: list[str], dimensions: int | None) -> str:
    digest = hashlib.sha256(json.dumps([settings, dimensions]).encode())
    for file in sorted(folder.rglob("*")):
        if file.suffix in FINGERPRINTED_SUFFIXES and file.is_file():
            digest.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as stream:
                while data := stream.read(READ_BYTES):
                    digest.update(data)
    return f"sentence_transformers:{digest.hexdigest()[:32]}"
