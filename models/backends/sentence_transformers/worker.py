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
READ_BYTES = 2**22
# What changes vectors: weights, tokens, pooling. Not the words about the model.
TELLING = (".safetensors", ".bin", ".json", ".txt", ".model")


class SentenceTransformersHandler:
    """Methods: `about`, and `embed` (texts, query), which answers with float32 rows."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._place = Placement(options["device"])
        torch.set_num_threads(options["threads"] if self._place.on_cpu else 1)
        dtype = self._place.dtype(options["dtype"], fastest_dtype())
        self._model = _opened(options, str(self._place.device), dtype)
        if options["max_tokens"]:
            self._model.max_seq_length = min(options["max_tokens"], self._longest())
        self._prompts = {
            True: _prompt(self._model, options["query_prompt"], "query"),
            False: _prompt(self._model, options["document_prompt"], "document"),
        }
        told = [str(dtype), str(self._longest()), self._prompts[True], self._prompts[False]]
        self._about = {
            "dimensions": self._model.get_embedding_dimension(),
            "fingerprint": _fingerprint(Path(options["source"]), told, options["dimensions"]),
        }

    def memory(self) -> dict[str, Any]:
        return self._place.memory()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return self._about, b""
        try:
            rows = self._model.encode(
                header["texts"],
                prompt=self._prompts[header["query"]],
                batch_size=CPU_BATCH if self._place.on_cpu else GPU_BATCH,
                normalize_embeddings=True,
                show_progress_bar=False,
                convert_to_tensor=True,
            )
        except torch.OutOfMemoryError:
            self._place.release()
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
            f"The model in {options['source']} cannot be read: {str(error)[:1000]}",
            code="model_unreadable",
        ) from error


def _prompt(model: Any, given: str | None, kind: str) -> str:
    """The words before a text: as told, else the model's own."""
    return given if given is not None else str(model.prompts.get(kind) or "")


def _fingerprint(folder: Path, told: list[str], dimensions: int | None) -> str:
    digest = hashlib.sha256(json.dumps([told, dimensions]).encode())
    for file in sorted(folder.rglob("*")):
        if file.suffix in TELLING and file.is_file():
            digest.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as stream:
                while data := stream.read(READ_BYTES):
                    digest.update(data)
    return f"sentence_transformers:{digest.hexdigest()[:32]}"
