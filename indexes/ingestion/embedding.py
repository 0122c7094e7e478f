"""Vectors for passages and queries, from whatever model an index names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, overload

from indexes.records import Embedding, IndexRecord
from indexes.retrieval.excerpts import find_excerpts, pack_excerpts
from indexes.storage import index_rows, spaces
from indexes.storage.hashes import passage_hash
from indexes.storage.store import Store
from models.capabilities import Embed, Rerank

BATCH = 256
"""Passages in one call of the model, which cuts it into batches by their tokens."""


class LeasedModel(Protocol):
    """The model behind a lease."""

    @property
    def name(self) -> str: ...


class EmbeddingLease(Protocol):
    """A lease of an embedding model."""

    @property
    def embed(self) -> Embed: ...
    @property
    def model(self) -> LeasedModel: ...


class RerankingLease(Protocol):
    """A lease of a cross-encoder."""

    @property
    def rerank(self) -> Rerank: ...


class Embedders(Protocol):
    """What the indexes need of `models.manager.Models`."""

    @overload
    def lease(
        self, name: str, task: Literal["embed"], *, tenant: str
    ) -> AbstractAsyncContextManager[EmbeddingLease]: ...
    @overload
    def lease(
        self, name: str, task: Literal["rerank"], *, tenant: str
    ) -> AbstractAsyncContextManager[RerankingLease]: ...


async def embed_texts(
    embed: Embed, texts: Sequence[str], on_batch: Callable[[int], None] = lambda count: None
) -> dict[bytes, Embedding]:
    """Embed texts with their excerpts; by the texts' hashes. Equal texts are embedded once.

    `on_batch` is called with each batch's size.
    """
    # Texts of one length share a batch without padding.
    ordered = sorted(set(texts), key=len)
    embeddings: dict[bytes, Embedding] = {}
    for first in range(0, len(ordered), BATCH):
        batch = ordered[first : first + BATCH]
        spans = await asyncio.to_thread(
            lambda texts: [find_excerpts(text) for text in texts], batch
        )
        embedded = await embed.embed_parts(batch, spans)
        for at, text in enumerate(batch):
            parts = embedded.parts[at]
            excerpts = pack_excerpts(spans[at], parts.masses, parts.data) if parts.masses else b""
            embeddings[passage_hash(text)] = Embedding(embedded.vectors.row(at), excerpts)
        on_batch(len(batch))
    return embeddings


async def adopt_model(store: Store, record: IndexRecord, lease: EmbeddingLease) -> IndexRecord:
    """Let an index that nothing was embedded for be embedded by this model; return its record."""
    model = (lease.embed.fingerprint, lease.embed.dimensions, lease.model.name)
    await store(spaces.use_space, record.id, *model)
    return await store(index_rows.get_index, record.id)
