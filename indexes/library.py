"""`Indexes`: the one way to searchable documents."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from indexes.checks import check_limit, checked_names, checked_question
from indexes.derived.synchronizer import IndexSynchronizer
from indexes.ingestion import ingests
from indexes.ingestion.embedding import Embedders
from indexes.ingestion.ingestion import Ingestion, Tell, Upload, silent
from indexes.ingestion.ingests import Crawls, IngestState
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.quality import calibration
from indexes.quality.calibration import Threshold
from indexes.records import Citation, Document, Index, IndexInfo, IngestReport, Passage, Place
from indexes.retrieval import expansion
from indexes.retrieval.citing import cite
from indexes.retrieval.expansion import Expand
from indexes.retrieval.filters import Where, compile_filter
from indexes.retrieval.search import Mode, Retriever
from indexes.retrieval.similar import SimilarDocument, find_similar
from indexes.spec import IndexSpec, check_name
from indexes.storage import lookup, snapshot
from indexes.storage import stats as statistics
from indexes.storage.stats import Stats
from indexes.storage.store import Store
from indexes.storage.tables import Tables
from models.workers.process import WorkerProcess


class Indexes:
    """Searchable documents by index and tenant. Get one from `service.open_indexes`.

    Every method raises `NotFound` (`index_not_found`, `document_not_found`) with the nearest
    name, and `Invalid` for names, limits and documents that cannot be.
    """

    def __init__(
        self,
        store: Store,
        keeper: IndexSynchronizer,
        moves: ReembeddingJobs,
        filling: Ingestion,
        models: Embedders,
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._filling = filling
        self._moves = moves
        self._search = Retriever(store, keeper, moves, models)
        self.crawls = Crawls(store, filling.ingests)
        """The crawls that were accepted; whoever crawls hands the work in."""

    # Indexes

    async def create(self, spec: IndexSpec, *, tenant: str = "default") -> IndexInfo:
        """A new, empty index. Raises `Conflict` (`index_exists`)."""
        await self._store(Tables.create_index, tenant, spec)
        return await self.get(spec.name, tenant=tenant)

    async def list(self, *, tenant: str = "default") -> list[IndexInfo]:
        return await self._store(Tables.infos, tenant)

    async def get(self, name: str, *, tenant: str = "default") -> IndexInfo:
        await self._index(name, tenant)
        return (await self._store(Tables.infos, tenant, name))[0]

    async def delete(self, name: str, *, tenant: str = "default") -> None:
        """Delete an index with all its documents, their vectors and terms.

        One that `indexes.yaml` declares is there again, empty, at the next start.
        """
        index = await self._index(name, tenant)
        await self._filling.ingests.forget(index)
        await self._moves.forget(index)
        await self._store(Tables.delete_index, index.id)
        await self._keeper.forget(index)

    async def rebuild(self, name: str, *, tenant: str = "default") -> None:
        """Build the derived index anew out of what is stored; embeds only for another model."""
        await self._filling.rebuild(await self._index(name, tenant))

    async def stats(self, name: str, *, tenant: str = "default") -> Stats:
        """How large an index is. Reads all its texts, beside everything else."""
        index = await self._index(name, tenant)
        derived = self._store.folder / "derived"
        return await self._store.beside(lambda db: statistics.stats(db, index, derived))

    async def threshold(self, name: str, *, tenant: str = "default") -> Threshold | None:
        """Its calibrated threshold, if it has one that holds for its present vectors."""
        index = await self._index(name, tenant)
        found = await self._store(calibration.read_threshold, index.id)
        return found if found and found.fingerprint in (None, index.fingerprint) else None

    async def set_threshold(
        self, name: str, threshold: Threshold | None, *, tenant: str = "default"
    ) -> None:
        """Keep a threshold in place of the present one; None forgets that."""
        index = await self._index(name, tenant)
        await self._store(calibration.set_threshold, index.id, threshold)

    async def export(self, name: str, path: Path, *, tenant: str = "default") -> None:
        """Write the index, as it is at one moment, to a file that `import_snapshot` reads. Other
        work goes on. What stood at `path` is replaced once the snapshot is whole and durable.

        Raises `Invalid` (`invalid_path`), `Busy` (`index_reembedding`) while another model
        embeds it.
        """
        index = await self._index(name, tenant)
        await self._store.beside(lambda db: snapshot.export(db, index, path))

    async def import_snapshot(
        self, path: Path, name: str | None = None, *, tenant: str = "default"
    ) -> IndexInfo:
        """An index out of a snapshot, searchable at once where the same embedding model is used.
        It does not take over the folders that the exported one declared.

        Raises `Invalid` (`invalid_snapshot`) for a damaged or foreign file, which leaves nothing,
        and `Conflict` (`index_exists`).
        """
        wanted = check_name(name) if name else None
        made = await self._store.beside(
            lambda db: snapshot.import_snapshot(db, tenant, path, wanted)
        )
        return await self.get(made, tenant=tenant)

    # Filling

    async def add_folder(
        self, name: str, folder: Path, *, tenant: str = "default", progress: Tell | None = None
    ) -> IngestReport:
        """Index every document below a folder. Files that are unchanged cost a stat; those that
        have gone are removed; those that cannot be read are in the report.

        Durable and found by searches when it returns. A cancelled one leaves what was committed;
        one that a crash cut short goes on at the next start.
        """
        index = await self._index(name, tenant)
        return await self._filling.folder(index, folder, progress or silent)

    async def begin_folder(self, name: str, folder: Path, *, tenant: str = "default") -> str:
        """`add_folder` in the background: the id under which `ingests` lists it. Accepted, it is
        finished, over restarts too."""
        return await self._filling.begin_folder(await self._index(name, tenant), folder)

    async def refresh(
        self, name: str, *, tenant: str = "default", progress: Tell | None = None
    ) -> builtins.list[IngestReport]:
        """`add_folder` for each folder that the index declares."""
        index = await self._index(name, tenant)
        return [
            await self.add_folder(name, Path(folder), tenant=tenant, progress=progress)
            for folder in index.spec.folders
        ]

    async def add_document(
        self,
        name: str,
        *,
        source: str,
        data: bytes,
        media_type: str | None = None,
        filename: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tenant: str = "default",
        progress: Tell | None = None,
    ) -> IngestReport:
        """Index one document, in place of the one of the same source; `report.documents[0]` is
        its id. `media_type` decides over the suffix of `filename` (default: the source).
        `metadata` can be searched by: its texts, numbers, booleans, and lists of them.

        Raises `Invalid` (`unreadable_document`, `unsupported_document`).
        """
        upload = Upload(source, data, media_type, filename, title, metadata)
        index = await self._index(name, tenant)
        return await self._filling.document(index, upload, progress or silent)

    async def delete_document(self, name: str, id: str, *, tenant: str = "default") -> None:
        """Delete a document: its text, and soon after its vectors and terms, leave the disk."""
        await self._filling.delete_document(await self._index(name, tenant), id)

    async def ingests(self, name: str, *, tenant: str = "default") -> builtins.list[IngestState]:
        """The folders and crawls that were begun lately, the latest first."""
        return await self._store(ingests.states, (await self._index(name, tenant)).id)

    async def cancel_ingest(self, name: str, id: str, *, tenant: str = "default") -> None:
        """End an ingest that `begin_folder` began; what it committed stays.

        Raises `NotFound` (`ingest_not_found`).
        """
        await self._filling.ingests.cancel(await self._index(name, tenant), id)

    # Reading

    async def search(
        self,
        names: str | Sequence[str],
        query: str,
        *,
        limit: int = 8,
        mode: Mode = "hybrid",
        documents: Sequence[str] | None = None,
        where: Where | None = None,
        expand: Expand = "none",
        highlight: bool = False,
        explain: bool = False,
        rerank: bool | None = None,
        tenant: str = "default",
    ) -> builtins.list[Passage]:
        """The passages of one index or several that fit the query best, best first.

        `documents` (ids) and `where` (see `filters`) narrow the choice beforehand. Passages of
        the same words are one, which names the others in `also`. `expand` lets each grow by its
        neighbours or to its section. `highlight` and `explain` fill `highlights` and `why`.
        `rerank` None sorts the best again where the index names a model for it; True always.
        An empty index finds nothing.

        Where the index's model is not the one that embedded it, the former serves until all is
        embedded anew. Raises `Unavailable` or `TimedOut` when the worker or a model cannot be had.
        """
        asked = checked_question(
            query,
            limit=limit,
            mode=mode,
            documents=documents,
            where=where,
            expand=expand,
            highlight=highlight,
            explain=explain,
            rerank=rerank,
        )
        found = [await self._index(name, tenant) for name in checked_names(names)]
        return await self._search(found, asked)

    async def similar(
        self, name: str, document: str, *, limit: int = 8, tenant: str = "default"
    ) -> builtins.list[SimilarDocument]:
        """The documents most like one of them, by meaning, each with its nearest passage."""
        check_limit(limit)
        index = await self._index(name, tenant)
        await self._store(lookup.document, index.id, name, document)
        return await find_similar(self._store, self._search, index, document, limit)

    async def passage(self, name: str, id: str, *, tenant: str = "default") -> Place:
        """A passage with its neighbours and its section. Raises `NotFound`
        (`passage_not_found`)."""
        index = await self._index(name, tenant)
        return await self._store(expansion.locate_passage, index.id, name, id)

    async def documents(
        self,
        name: str,
        *,
        where: Where | None = None,
        tenant: str = "default",
        limit: int = 100,
        offset: int = 0,
    ) -> builtins.list[Document]:
        """Documents by source, without their texts: all, or those that `where` chooses."""
        id = (await self._index(name, tenant)).id
        return await self._store(
            lookup.documents, id, name, compile_filter(where or {}), limit, offset
        )

    async def document(self, name: str, id: str, *, tenant: str = "default") -> Document:
        """One document with its text, to which spans refer."""
        index = await self._index(name, tenant)
        return await self._store(lookup.document, index.id, name, id)

    async def cite(
        self,
        name: str,
        document: str,
        start: int,
        end: int,
        *,
        hash: str | None = None,
        tenant: str = "default",
    ) -> Citation:
        """A span with its surroundings. `hash` is that of the passage cited: where the document
        is another one by now, `changed` is True and the span shows what stands there today.

        Raises `Invalid` for a span outside of an unchanged document.
        """
        index = await self._index(name, tenant)
        return await self._store(cite, index.id, name, document, start, end, hash)

    async def warm(self) -> None:
        """Start the worker and open every index that holds something, so that no search waits."""
        for index in await self._store(Tables.all_indexes):
            if index.fingerprint:
                await self._keeper.follow(index)

    def pause(self) -> None:
        """Ingests that are cut short from now on, since all ends, go on at the next start."""
        self._filling.ingests.pause()

    @property
    def worker(self) -> WorkerProcess | None:
        """The running txtai worker, for its pid and memory."""
        return self._keeper.worker

    async def _index(self, name: str, tenant: str) -> Index:
        return await self._store(Tables.index, tenant, check_name(name))
