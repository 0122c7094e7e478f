"""`Index`: a handle for one index of one tenant.

Owns what can be done with a single index, in terms of documents, passages and reports. Leaves
finding an index by its name, and everything about several, to `library`; reading and committing
to `ingestion`; ranking to `retrieval`.

Invariants: a handle belongs to the tenant that it was got for, and names its index by id, so that
it never reaches another that was created later under the same name. Nothing is cached in it: each
method reads the index's record anew, since ingests and re-embedding change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from indexes.checks import SearchOptions, check_limit, checked_question
from indexes.ingestion.ingest import Upload
from indexes.ingestion.ingestion import Ingestion
from indexes.ingestion.jobs import Work
from indexes.quality import calibration
from indexes.quality.calibration import Threshold
from indexes.records import Citation, Document, IndexInfo, IndexRecord, Passage, PassageContext
from indexes.reports import IngestReport, OnProgress, ignore_progress
from indexes.retrieval import expansion
from indexes.retrieval.citing import cite
from indexes.retrieval.completeness import SearchResults
from indexes.retrieval.filters import Where, compile_filter
from indexes.retrieval.search import Retriever
from indexes.retrieval.similar import SimilarDocument, find_similar
from indexes.storage import index_rows, lookup, snapshot
from indexes.storage.ingests import IngestState, list_ingests
from indexes.storage.stats import IndexStats, measure_index
from indexes.storage.store import Store


@dataclass(frozen=True, slots=True)
class IndexServices:
    """What every handle works with. `service.open_indexes` opens and closes them."""

    store: Store
    ingestion: Ingestion
    search: Retriever


class Index:
    """One index of one tenant, from `Indexes.get`; it needs no closing.

    Every method raises `NotFound` (`index_not_found`) once the index is deleted, and
    `Unavailable` (`index_storage_failed`) while the database cannot be read or written.
    """

    def __init__(self, record: IndexRecord, services: IndexServices) -> None:
        self.name = record.spec.name
        self.tenant = record.tenant
        self._id = record.id
        self._services = services
        self._store = services.store
        self._ingestion = services.ingestion

    # The index

    async def describe(self) -> IndexInfo:
        """Count its documents and passages, and say how it is declared."""
        name = (await self._record()).spec.name
        (info,) = await self._store(index_rows.list_infos, self.tenant, name)
        return info

    async def stats(self) -> IndexStats:
        """Measure how large the index is, on disk and in memory.

        Scans all stored text on a connection of its own; searches go on meanwhile.
        """
        record = await self._record()
        derived = self._store.folder / "derived"
        return await self._store.beside(lambda db: measure_index(db, record, derived))

    async def rebuild(self) -> None:
        """Build the derived index anew from storage, while the present one serves.

        Embeds only if the index's model is another one than before.
        """
        await self._ingestion.rebuild(await self._record())

    async def export(self, path: Path) -> None:
        """Write the index, as it is at one moment, to a file that `import_snapshot` reads.

        Other work goes on. A file at `path` is replaced once the snapshot is whole and durable.
        Raises `Invalid` (`invalid_path`), `Busy` (`index_reembedding`) while another model
        embeds the index.
        """
        record = await self._record()
        await self._store.beside(lambda db: snapshot.export_snapshot(db, record, path))

    async def get_threshold(self) -> Threshold | None:
        """Read the calibrated threshold; None unless there is one for the present vectors."""
        record = await self._record()
        stored = await self._store(calibration.read_threshold, record.id)
        return stored if stored and stored.fingerprint in (None, record.fingerprint) else None

    async def set_threshold(self, threshold: Threshold | None) -> None:
        """Replace the calibrated threshold; None removes it."""
        record = await self._record()
        await self._store(calibration.set_threshold, record.id, threshold)

    # Ingest

    async def add_folder(
        self, folder: Path, *, on_progress: OnProgress = ignore_progress
    ) -> IngestReport:
        """Index every document below a folder.

        Unchanged files cost a stat; documents whose file is missing are removed; files that cannot
        be read are in the report. Everything is durable and searchable when this returns. If it is
        cancelled, what was committed stays; if the process dies, the next start goes on with it.
        """
        return await self._ingestion.add_folder(await self._record(), folder, on_progress)

    async def begin_folder(self, folder: Path) -> str:
        """Start `add_folder` in the background; return its id in `list_ingests`.

        Once accepted the ingest is finished, over restarts too.
        """
        return await self._ingestion.begin_folder(await self._record(), folder)

    async def refresh(self, *, on_progress: OnProgress = ignore_progress) -> list[IngestReport]:
        """Run `add_folder` for each folder that the index declares."""
        folders = (await self._record()).spec.folders
        return [await self.add_folder(Path(each), on_progress=on_progress) for each in folders]

    async def add_document(
        self,
        *,
        source: str,
        data: bytes,
        media_type: str | None = None,
        filename: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> IngestReport:
        """Index one document in place of the one of the same source.

        `report.documents[0]` is its id. `media_type` decides over the suffix of `filename`
        (default: the source). Searches can filter by the texts, numbers and booleans of
        `metadata`, and by lists of them.

        Raises `Invalid` (`unreadable_document`, `unsupported_document`).
        """
        upload = Upload(source, data, media_type, filename, title, metadata)
        return await self._ingestion.add_document(await self._record(), upload, on_progress)

    async def delete_document(self, id: str) -> None:
        """Delete a document: its text now, and soon its vectors and terms, leave the disk.

        Raises `NotFound` (`document_not_found`) with the nearest id.
        """
        await self._ingestion.delete_document(await self._record(), id)

    async def list_ingests(self) -> list[IngestState]:
        """List the latest folders and crawls that were accepted, the newest first."""
        return await self._store(list_ingests, (await self._record()).id)

    async def cancel_ingest(self, id: str) -> None:
        """Cancel an ingest that runs in the background; what it committed stays.

        Raises `NotFound` (`ingest_not_found`).
        """
        await self._ingestion.jobs.cancel(await self._record(), id)

    async def run_crawl(
        self, origin: str, work: Work, on_progress: OnProgress = ignore_progress
    ) -> IngestReport:
        """Record a crawl as accepted and run its work; `origin` is all that a restart needs."""
        record = await self._record()
        return await self._ingestion.jobs.run(record, origin, work, on_progress, "crawl")

    async def begin_crawl(self, origin: str, work: Work) -> str:
        """Start `run_crawl` in the background; return its id in `list_ingests`."""
        return await self._ingestion.jobs.begin(await self._record(), origin, work, "crawl")

    def resume_crawl(self, state: IngestState, work: Work) -> None:
        """Start, in the background, the work of a crawl from `Indexes.unfinished_crawls`."""
        self._ingestion.jobs.resume(self._id, state.id, f"indexes crawl {self.name}", work)

    # Reading

    async def search(self, query: str, **options: Unpack[SearchOptions]) -> SearchResults[Passage]:
        """Find the passages that fit the query best, best first, as `Indexes.search` does."""
        question = checked_question(query, **options)
        return await self._services.search([await self._record()], question)

    async def find_similar(
        self, document: str, *, limit: int = 8
    ) -> SearchResults[SimilarDocument]:
        """Find the documents most like one of them by meaning, each with its nearest passage.

        Raises `NotFound` (`document_not_found`) with the nearest id.
        """
        check_limit(limit)
        record = await self._record()
        await self._store(lookup.get_document, record.id, self.name, document)
        return await find_similar(self._store, self._services.search, record, document, limit)

    async def get_passage(self, id: str) -> PassageContext:
        """Read a passage with its neighbours and its section.

        Raises `NotFound` (`passage_not_found`).
        """
        record = await self._record()
        return await self._store(expansion.locate_passage, record.id, self.name, id)

    async def list_documents(
        self, *, where: Where | None = None, limit: int = 100, offset: int = 0
    ) -> list[Document]:
        """List documents by source, without their texts: all, or those that `where` chooses."""
        id, condition = (await self._record()).id, compile_filter(where or {})
        return await self._store(lookup.list_documents, id, self.name, condition, limit, offset)

    async def get_document(self, id: str) -> Document:
        """Read one document with its text, to which spans refer.

        Raises `NotFound` (`document_not_found`) with the nearest id.
        """
        return await self._store(lookup.get_document, (await self._record()).id, self.name, id)

    async def cite(
        self, document: str, start: int, end: int, *, hash: str | None = None
    ) -> Citation:
        """Read a span of a document with its surroundings.

        `hash` is that of the passage cited: if the document has another one by now, `changed` is
        True and the span shows its present text. Raises `Invalid` for a span outside of an
        unchanged document.
        """
        id = (await self._record()).id
        return await self._store(cite, id, self.name, document, start, end, hash)

    async def _record(self) -> IndexRecord:
        return await self._store(index_rows.get_index, self._id)
