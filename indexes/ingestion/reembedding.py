"""Moves an index to another embedding model while the former one's vectors serve.

Owns one background task for each index that moves, and the choice of the model that serves
meanwhile. Leaves the swap of the derived index to the synchronizer.

How an index moves:
1. A lease of the model that the index names shows another fingerprint than its vectors have.
2. Storage records the next space (`begin_move`); a start resumes from there.
3. Passages without a vector in the next space are embedded, a few at a time; ingests embed their
   new passages for both models.
4. The synchronizer builds a replica of the next space, and storage and worker change over. If
   passages came meanwhile without such a vector, step 3 follows again.

Invariant: an index is searched and filled with the model that its present vectors were made by,
up to step 4. If that model cannot be had any more, its keywords alone are searched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from config.errors import MotetError, NotFound
from indexes.derived.synchronizer import IndexSynchronizer
from indexes.ingestion.embedding import Embedders, adopt_model, embed_texts
from indexes.records import IndexRecord
from indexes.storage import index_rows, spaces
from indexes.storage.store import Store
from indexes.tasks import cancel_and_wait, spawn_logged
from models.capabilities import Embed

log = logging.getLogger(__name__)

BATCH = 64
"""Passages embedded at once: whoever needs the model meanwhile waits for so few."""


class ReembeddingJobs:
    """Embeds indexes anew, in the background. `resume` after a start, `close` at the end."""

    def __init__(self, store: Store, synchronizer: IndexSynchronizer, models: Embedders) -> None:
        self._store = store
        self._synchronizer = synchronizer
        self._models = models
        self._jobs: dict[str, asyncio.Task[None]] = {}

    def begin(self, record: IndexRecord) -> asyncio.Task[None]:
        """Start moving an index to the model that it names; return the task.

        While the index is moving, its task is returned. What was embedded stays when the task is
        cut short.
        """
        job = self._jobs.get(record.id)
        if job is None or job.done():
            log.info("index '%s' is embedded anew by another model", record.spec.name)
            job = spawn_logged(self._reembed(record), f"indexes embed {record.spec.name} anew")
            self._jobs[record.id] = job
        return job

    async def resume(self) -> None:
        """Start the moves that an earlier process did not finish."""
        for record in await self._store(index_rows.list_moving_indexes):
            self.begin(record)

    async def cancel(self, record: IndexRecord) -> None:
        """Stop moving an index that is being deleted."""
        await cancel_and_wait([self._jobs.pop(record.id, None)])

    async def close(self) -> None:
        """Cancel all moves; the next start resumes them."""
        await cancel_and_wait([*self._jobs.values()])

    async def ensure_model(self, record: IndexRecord) -> IndexRecord:
        """Read the index's record; if nothing was embedded for it yet, adopt the model it names."""
        record = await self._store(index_rows.get_index, record.id)
        if record.fingerprint:
            return record
        async with self._models.lease(record.spec.model, "embed", tenant=record.tenant) as lease:
            return await adopt_model(self._store, record, lease)

    async def embed_for_next(self, record: IndexRecord, texts: Sequence[str]) -> None:
        """Embed new passages of a moving index for its next model as well.

        Otherwise an index that grows faster than it is embedded anew would never arrive.
        """
        if record.next_space is None:
            return
        async with self._models.lease(record.spec.model, "embed", tenant=record.tenant) as lease:
            model = (lease.embed.fingerprint, lease.embed.dimensions)
            embeddings = await embed_texts(lease.embed, texts)
            await self._store(spaces.add_vectors, record.id, *model, embeddings)

    @asynccontextmanager
    async def serving(self, record: IndexRecord) -> AsyncIterator[Embed | None]:
        """Lease the model whose vectors serve now; None if it cannot be had any more.

        Starts a move if the index names another model by now. Raises what a lease of the model
        that the index names raises.
        """
        async with self._models.lease(record.spec.model, "embed", tenant=record.tenant) as lease:
            if lease.embed.fingerprint == record.fingerprint:
                yield lease.embed
                return
            if record.next_space is None:
                model = (lease.embed.fingerprint, lease.embed.dimensions)
                record = await self._store(spaces.begin_move, record.id, *model)
        # That lease has ended: the machine may hold only one of both models at a time.
        self.begin(record)
        async with self._former(record) as embed:
            yield embed

    @asynccontextmanager
    async def _former(self, record: IndexRecord) -> AsyncIterator[Embed | None]:
        async with AsyncExitStack() as stack:
            try:
                if record.embedded_with is None:
                    raise NotFound("Nobody wrote down which model it was.", code="model_not_found")
                lease = await stack.enter_async_context(
                    self._models.lease(record.embedded_with, "embed", tenant=record.tenant)
                )
            except MotetError as error:
                log.warning(
                    "index '%s' is degraded: the model that embedded it cannot be had (%s). Until "
                    "all passages are embedded anew it is searched by keywords.",
                    record.spec.name,
                    error.message,
                )
                yield None
                return
            same_model = lease.embed.fingerprint == record.fingerprint
            yield lease.embed if same_model else None

    async def _reembed(self, record: IndexRecord) -> None:
        while not await self._try_reembed(await self._store(index_rows.get_index, record.id)):
            pass

    async def _try_reembed(self, record: IndexRecord) -> bool:
        """Embed what has no vector, and change over; False if more passages came meanwhile."""
        async with self._models.lease(record.spec.model, "embed", tenant=record.tenant) as lease:
            model = (lease.embed.fingerprint, lease.embed.dimensions)
            if lease.embed.fingerprint == record.fingerprint:
                # The spec names the former model again.
                await self._store(spaces.end_move, record.id)
                return True
            record = await self._store(spaces.begin_move, record.id, *model)
            missing = spaces.list_texts_without_vector
            while texts := await self._store(missing, record.id, model[0], BATCH):
                embeddings = await embed_texts(lease.embed, texts)
                await self._store(spaces.add_vectors, record.id, *model, embeddings)
            return await self._synchronizer.switch_model(record, *model, lease.model.name)
