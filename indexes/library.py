"""`Indexes`: every index of every tenant, and searches over several at once.

Owns names: an index is found by name and tenant, and one of another tenant is not found. Leaves
what is done with a single index to `index.Index`, and opening and closing to `service`.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from config.quotas import Quota
from indexes.checks import SearchOptions, checked_names, checked_question
from indexes.derived.synchronizer import IndexSynchronizer
from indexes.index import Index, IndexServices
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.records import IndexInfo, IndexRecord, Passage
from indexes.retrieval.completeness import SearchResults
from indexes.spec import IndexSpec, check_name
from indexes.storage import index_rows, snapshot
from indexes.storage.ingests import UnfinishedIngest, list_unfinished
from models.workers.process import WorkerProcess


class Indexes:
    """Hands out indexes by name and tenant. Get one from `service.open_indexes`.

    Every method raises `NotFound` (`index_not_found`) with the nearest name, `Invalid` for names
    and limits that cannot be, and `Unavailable` (`index_storage_failed`) while the database cannot
    be read or written.
    """

    def __init__(
        self,
        services: IndexServices,
        synchronizer: IndexSynchronizer,
        reembedding: ReembeddingJobs,
        quota: Quota,
    ) -> None:
        self._services = services
        self._store = services.store
        self._jobs = services.ingestion.jobs
        self._synchronizer = synchronizer
        self._reembedding = reembedding
        self._quota = quota

    async def create(self, spec: IndexSpec, tenant: str) -> Index:
        """Create an empty index.

        Raises `Conflict` (`index_exists`), `Busy` (`quota_exceeded`).
        """
        await self._store(index_rows.create_index, tenant, spec, self._quota)
        return await self.get(spec.name, tenant=tenant)

    async def get(self, name: str, tenant: str) -> Index:
        """Look up an index of a tenant; the handle stays good until the index is deleted."""
        return Index(await self._record(name, tenant), self._services)

    async def list(self, tenant: str) -> list[IndexInfo]:
        """List a tenant's indexes with their counts, by name."""
        return await self._store(index_rows.list_infos, tenant)

    async def delete(self, name: str, tenant: str) -> None:
        """Delete an index with all its documents, their vectors and terms.

        An index that `indexes.yaml` declares is there again, empty, at the next start.
        """
        record = await self._record(name, tenant)
        # Whatever still writes to the index ends before its rows go.
        await self._jobs.cancel_all(record)
        await self._reembedding.cancel(record)
        await self._store(index_rows.delete_index, record.id)
        await self._synchronizer.forget(record)

    async def import_snapshot(self, path: Path, name: str | None = None, *, tenant: str) -> Index:
        """Create an index from a snapshot, searchable at once if its embedding model is available.

        The folders that the exported index declared are left out. Raises `Invalid`
        (`invalid_snapshot`) for a damaged or foreign file, which leaves nothing behind, `Conflict`
        (`index_exists`), and `Busy` (`quota_exceeded`).
        """
        new_name = check_name(name) if name else None
        imported = await self._store.beside(
            lambda db: snapshot.import_snapshot(db, tenant, path, new_name, self._quota)
        )
        return await self.get(imported, tenant=tenant)

    async def search(
        self,
        names: str | Sequence[str],
        query: str,
        *,
        tenant: str,
        **options: Unpack[SearchOptions],
    ) -> SearchResults[Passage]:
        """Find the passages of one index or several that fit the query best, best first.

        Passages of the same words are one, which names the others in `also`. An empty index finds
        nothing. While an index is being embedded by another model, its former one serves. `gaps` of
        the answer say what it may lack: an index whose search files are built anew, one that is
        being filled, a model that could not be had.

        Raises `Unavailable` or `TimedOut` when the worker or a model cannot be had.
        """
        question = checked_question(query, **options)
        records = [await self._record(name, tenant) for name in checked_names(names)]
        return await self._services.search(records, question)

    async def tenants(self) -> builtins.list[str]:
        """List those who have an index."""
        return sorted({record.tenant for record in await self._store(index_rows.list_indexes)})

    async def unfinished_crawls(self) -> builtins.list[UnfinishedIngest]:
        """List the crawls of all tenants that an earlier process left running."""
        unfinished = await self._store(list_unfinished)
        return [each for each in unfinished if each.state.kind == "crawl"]

    async def warm(self) -> None:
        """Start the worker and open every index that holds something, so that no search waits."""
        for record in await self._store(index_rows.list_indexes):
            if record.fingerprint:
                await self._synchronizer.follow(record)

    def pause(self) -> None:
        """Announce the end: an ingest that is cut short from now on goes on at the next start."""
        self._jobs.pause()

    @property
    def worker(self) -> WorkerProcess | None:
        """The running worker, for its pid and memory."""
        return self._synchronizer.worker

    async def _record(self, name: str, tenant: str) -> IndexRecord:
        return await self._store(index_rows.find_index, tenant, check_name(name))
