"""Vectors for passages and queries, from whatever model an index names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, overload

from indexes.records import Embedding, Index
from indexes.retrieval.excerpts import find_excerpts, pack_excerpts
from indexes.storage.store import Store
from indexes.storage.tables import Tables, passage_hash
from models.capabilities import Embed, Rerank

BATCH = 256


class Named(Protocol):
    @property
    def name(self) -> str: ...


class HasEmbed(Protocol):
    @property
    def embed(self) -> Embed: ...
    @property
    def model(self) -> Named: ...


class HasRerank(Protocol):
    @property
    def rerank(self) -> Rerank: ...


class Embedders(Protocol):
    """What the indexes need of `models.manager.Models`."""

    @overload
    def lease(
        self, name: str, task: Literal["embed"], *, tenant: str = "default"
    ) -> AbstractAsyncContextManager[HasEmbed]: ...
    @overload
    def lease(
        self, name: str, task: Literal["rerank"], *, tenant: str = "default"
    ) -> AbstractAsyncContextManager[HasRerank]: ...


async def embedded(
    embed: Embed, texts: Sequence[str], done: Callable[[int], None] = lambda count: None
) -> dict[bytes, Embedding]:
    """A vector for each text with those of its excerpts, by its hash.

    `done` is told of each batch's size."""
    # Texts of one length share a batch without padding.
    ordered = sorted(set(texts), key=len)
    made: dict[bytes, Embedding] = {}
    for first in range(0, len(ordered), BATCH):
        batch = ordered[first : first + BATCH]
        spans = await asyncio.to_thread(
            lambda texts: [find_excerpts(text) for text in texts], batch
        )
        found = await embed.embed_parts(batch, spans)
        for at, text in enumerate(batch):
            parts = found.parts[at]
            excerpts = pack_excerpts(spans[at], parts.masses, parts.data) if parts.masses else b""
            made[passage_hash(text)] = Embedding(found.vectors.row(at), excerpts)
        done(len(batch))
    return made


async def adopt(store: Store, index: Index, lease: HasEmbed) -> Index:
    """Let an index that nothing was embedded for be embedded by this model; the index then."""
    model = (lease.embed.fingerprint, lease.embed.dimensions, lease.model.name)
    await store(Tables.use_space, index.id, *model)
    return await store(Tables.present, index.id)
