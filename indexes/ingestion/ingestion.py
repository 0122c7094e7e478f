"""What goes into an index and out of it: folders, documents, deletions, rebuilds.

Owns the order of these for one index: each holds the index's lock and reads its record after it
got the lock. How a document is read, embedded and committed is `ingest`'s.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from indexes.checks import checked_metadata
from indexes.ingestion.ingest import Ingest, IngestDeps, Upload
from indexes.ingestion.jobs import IngestJobs, Work
from indexes.ingestion.walk import resolve_folder, too_large
from indexes.records import IndexRecord
from indexes.reports import IngestReport, OnProgress
from indexes.storage import documents, index_rows, lookup
from indexes.storage.ingests import list_unfinished


class Ingestion:
    """Changes indexes whose record the caller has looked up, one ingest into each at a time."""

    def __init__(self, deps: IngestDeps) -> None:
        self._deps = deps
        self._store = deps.store
        self.jobs = IngestJobs(deps.store, deps.quota)

    async def add_folder(
        self, record: IndexRecord, folder: Path, on_progress: OnProgress
    ) -> IngestReport:
        """Index a folder, as `Index.add_folder` says."""
        root = await asyncio.to_thread(resolve_folder, folder)
        return await self.jobs.run(record, str(root), self._folder_work(record, root), on_progress)

    async def begin_folder(self, record: IndexRecord, folder: Path) -> str:
        """Start `add_folder` in the background; return the ingest's id."""
        root = await asyncio.to_thread(resolve_folder, folder)
        return await self.jobs.begin(record, str(root), self._folder_work(record, root))

    async def resume_folders(self) -> None:
        """Start, in the background, the folders that an earlier process did not finish."""
        for state, tenant in await self._store(list_unfinished):
            if state.kind == "folder":
                record = await self._store(index_rows.find_index, tenant, state.index)
                work = self._folder_work(record, Path(state.origin))
                self.jobs.resume(record.id, state.id, f"indexes ingest {state.index}", work)

    async def add_document(
        self, record: IndexRecord, upload: Upload, on_progress: OnProgress
    ) -> IngestReport:
        """Index a document, as `Index.add_document` says."""
        if len(upload.data) > self._deps.max_bytes:
            raise too_large(upload.source, self._deps.max_bytes)
        metadata = checked_metadata(upload.source, upload.title, upload.metadata)
        async with self.jobs.lock(record):
            ingest = Ingest(self._deps, await self._reread(record), on_progress)
            return await ingest.document(upload, metadata)

    async def delete_document(self, record: IndexRecord, id: str) -> None:
        """Delete a document, as `Index.delete_document` says."""
        await self._store(lookup.get_document, record.id, record.spec.name, id)
        await self._store(documents.delete_documents, record.id, [id])
        await self._deps.synchronizer.redact_removed(record)
        # Searches read texts from the store, so the document is not found any more already.
        self._deps.synchronizer.follow_later(record)

    async def rebuild(self, record: IndexRecord) -> None:
        """Build the derived index anew; embed anew if the index names another model by now."""
        async with self.jobs.lock(record):
            record = await self._reread(record)
            if record.fingerprint is None:
                return
            model = record.spec.model
            async with self._deps.models.lease(model, "embed", tenant=record.tenant) as lease:
                same_model = lease.embed.fingerprint == record.fingerprint
            # The lease ends first: re-embedding takes its own, and holds it for long.
            if same_model:
                await self._wait_rebuilt(record)
            else:
                await self._deps.reembedding.begin(record)

    async def _wait_rebuilt(self, record: IndexRecord) -> None:
        """Wait for the rebuild that all share who ask for one. Raises `NotFound` when the index is
        deleted meanwhile."""
        task = self._deps.synchronizer.rebuild(record)
        await asyncio.wait({task})  # who gives up here ends nobody else's rebuild
        if task.cancelled():
            raise index_rows.index_deleted()
        task.result()

    def _folder_work(self, record: IndexRecord, root: Path) -> Work:
        async def work(on_progress: OnProgress) -> IngestReport:
            async with self.jobs.lock(record):
                ingest = Ingest(self._deps, await self._reread(record), on_progress)
                return await ingest.folder(root)

        return work

    async def _reread(self, record: IndexRecord) -> IndexRecord:
        """Read the index's record again, now that its lock is held: it may have changed."""
        return await self._store(index_rows.get_index, record.id)
