"""An index goes over to another embedding model while the old vectors serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from config.errors import MotetError, NotFound
from indexes.derived.synchronizer import IndexSynchronizer
from indexes.ingestion.embedding import Embedders, adopt, embedded
from indexes.records import Index
from indexes.storage.store import Store
from indexes.storage.tables import Tables
from indexes.tasks import cancel_and_wait, spawn_logged
from models.capabilities import Embed

log = logging.getLogger(__name__)

BATCH = 64
"""Passages embedded at once: what waits meanwhile, waits for few."""


class ReembeddingJobs:
    """Embeds indexes anew, in the background. `go_on` after a start, `close` at the end."""

    def __init__(self, store: Store, keeper: IndexSynchronizer, models: Embedders) -> None:
        self._store = store
        self._keeper = keeper
        self._models = models
        self._running: dict[str, asyncio.Task[None]] = {}

    def begin(self, index: Index) -> asyncio.Task[None]:
        """Let an index go over to the model that its name for one stands for now; the task that
        does. What it has embedded stays when it is cut short."""
        running = self._running.get(index.id)
        if running is None or running.done():
            log.info("index '%s' is embedded anew by another model", index.spec.name)
            name = f"indexes embed {index.spec.name} anew"
            running = spawn_logged(self._move(index), name)
            self._running[index.id] = running
        return running

    async def go_on(self) -> None:
        """With what an earlier process did not finish."""
        for index in await self._store(Tables.moving):
            self.begin(index)

    async def forget(self, index: Index) -> None:
        """The index is being deleted."""
        await cancel_and_wait([self._running.pop(index.id, None)])

    async def close(self) -> None:
        await cancel_and_wait([*self._running.values()])

    async def embedded(self, index: Index) -> Index:
        """The index as it is now, with a model: the one that its name stands for now, where
        nothing was embedded for it before."""
        index = await self._store(Tables.present, index.id)
        if index.fingerprint:
            return index
        async with self._models.lease(index.spec.model, "embed", tenant=index.tenant) as lease:
            return await adopt(self._store, index, lease)

    async def keep_up(self, index: Index, texts: Sequence[str]) -> None:
        """Embed new passages of an index on its way for its next model as well, so that it gets
        there while it grows."""
        if index.next_space is None:
            return
        async with self._models.lease(index.spec.model, "embed", tenant=index.tenant) as lease:
            model = (lease.embed.fingerprint, lease.embed.dimensions)
            made = await embedded(lease.embed, texts)
            await self._store(Tables.add_vectors, index.id, *model, made)

    @asynccontextmanager
    async def serving(self, index: Index) -> AsyncIterator[Embed | None]:
        """The model that made the vectors that serve now; None where it cannot be had any more.

        Raises what a lease of the model that the index names raises.
        """
        async with self._models.lease(index.spec.model, "embed", tenant=index.tenant) as lease:
            if lease.embed.fingerprint == index.fingerprint:
                yield lease.embed
                return
            if index.next_space is None:
                model = (lease.embed.fingerprint, lease.embed.dimensions)
                index = await self._store(Tables.begin_move, index.id, *model)
        self.begin(index)
        async with self._former(index) as embed:
            yield embed

    @asynccontextmanager
    async def _former(self, index: Index) -> AsyncIterator[Embed | None]:
        try:
            if index.embedded_with is None:
                raise NotFound("Nobody wrote down which model it was.", code="model_not_found")
            lending = self._models.lease(index.embedded_with, "embed", tenant=index.tenant)
            lease = await lending.__aenter__()
        except MotetError as error:
            log.warning(
                "index '%s' is degraded: the model that embedded it cannot be had (%s). Until all "
                "passages are embedded anew it is searched by keywords.",
                index.spec.name,
                error.message,
            )
            yield None
            return
        try:
            same = lease.embed.fingerprint == index.fingerprint
            yield lease.embed if same else None
        finally:
            await lending.__aexit__(None, None, None)

    async def _move(self, index: Index) -> None:
        moved = False
        while not moved:
            moved = await self._moved(await self._store(Tables.present, index.id))

    async def _moved(self, index: Index) -> bool:
        """One attempt; False when passages came that the new model has not embedded."""
        async with self._models.lease(index.spec.model, "embed", tenant=index.tenant) as lease:
            model = (lease.embed.fingerprint, lease.embed.dimensions)
            if lease.embed.fingerprint == index.fingerprint:
                await self._store(Tables.end_move, index.id)
                return True
            index = await self._store(Tables.begin_move, index.id, *model)
            missing = Tables.texts_without_vector
            while texts := await self._store(missing, index.id, model[0], BATCH):
                made = await embedded(lease.embed, texts)
                await self._store(Tables.add_vectors, index.id, *model, made)
            return await self._keeper.move(index, *model, lease.model.name)
