"""`Indexes`: the one way to searchable documents."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from struct import pack
from typing import Any, Literal

from config.errors import Busy, Conflict, Invalid
from config.settings import Settings
from indexes.checks import checked, searchable
from indexes.embedding import Embedders, adopt
from indexes.ingest import Ingest, Parts
from indexes.keeper import Keeper
from indexes.reading import Reader
from indexes.records import (
    Citation,
    Document,
    Index,
    IndexInfo,
    IngestReport,
    Passage,
    Progress,
)
from indexes.spec import IndexSpec, check_name, declared_indexes
from indexes.store import open_store
from indexes.supply import StartWorker
from indexes.tables import Tables
from indexes.walk import resolved, too_large
from models.workers.process import WorkerProcess

Mode = Literal["hybrid", "dense", "keyword"]

MAX_WAITING_INGESTS = 32
SPARE = 8
"""Asked for beyond the limit: a passage may be deleted between being found and being read."""
CONTEXT_CHARS = 400


class Indexes:
    """Searchable documents by index and tenant. Get one from `open_indexes`.

    Every method raises `NotFound` (`index_not_found`, `document_not_found`) with the nearest
    name, and `Invalid` for names, limits and documents that cannot be.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store
        self._keeper = parts.keeper
        self._ingesting: dict[str, asyncio.Lock] = {}
        self._waiting = 0

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
        await self._store(Tables.delete_index, index.id)
        await self._keeper.forget(index)
        await self._store(Tables.purge)

    async def rebuild(self, name: str, *, tenant: str = "default") -> None:
        """Build the derived index anew out of what is stored; embeds only for another model."""
        index = await self._index(name, tenant)
        async with self._ingest_turn(index):
            if index.fingerprint:
                async with self._lease(index) as lease:
                    if lease.embed.fingerprint != index.fingerprint:
                        index = await adopt(self._store, index, lease.embed)
                await self._keeper.rebuild(index)

    # Filling

    async def add_folder(
        self,
        name: str,
        folder: Path,
        *,
        tenant: str = "default",
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Index every document below a folder. Files that are unchanged cost a stat; those that
        have gone are removed; those that cannot be read are in the report.

        Durable and found by searches when it returns. A cancelled one leaves what was committed.
        """
        index = await self._index(name, tenant)
        root = await asyncio.to_thread(resolved, folder)
        async with self._ingest_turn(index):
            index = await self._index(name, tenant)
            return await Ingest(self._parts, index, progress or _silent).folder(root)

    async def refresh(
        self,
        name: str,
        *,
        tenant: str = "default",
        progress: Callable[[Progress], None] | None = None,
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
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Index one document, in place of the one of the same source; `report.documents[0]` is
        its id. `media_type` decides over the suffix of `filename` (default: the source).

        Raises `Invalid` (`unreadable_document`, `unsupported_document`).
        """
        if len(data) > self._parts.max_bytes:
            raise too_large(source, self._parts.max_bytes)
        about = checked(source, title, metadata)
        index = await self._index(name, tenant)
        async with self._ingest_turn(index):
            index = await self._index(name, tenant)
            ingest = Ingest(self._parts, index, progress or _silent)
            return await ingest.document(source, filename or source, media_type, data, title, about)

    async def delete_document(self, name: str, id: str, *, tenant: str = "default") -> None:
        """Delete a document: its text, and soon after its vectors and terms, leave the disk."""
        index = await self._index(name, tenant)
        await self._store(Tables.document, index.id, name, id)
        await self._store(Tables.delete_documents, index.id, [id])
        await self._keeper.removed(index)
        # Searches read texts from the store: it is not found any more, whenever this is done.
        self._keeper.follow_later(index)

    # Reading

    async def search(
        self,
        name: str,
        query: str,
        *,
        limit: int = 8,
        mode: Mode = "hybrid",
        documents: Sequence[str] | None = None,
        tenant: str = "default",
    ) -> builtins.list[Passage]:
        """The passages that fit the query best, best first; `documents` (ids) narrows the choice
        beforehand. An empty index finds nothing.

        Raises `Conflict` (`embedding_changed`) where the model is not the one that embedded it,
        `Unavailable` or `TimedOut` when the worker cannot be had.
        """
        query = searchable(query, limit, mode)
        index = await self._index(name, tenant)
        allowed = None
        if documents is not None:
            allowed = await self._store(Tables.numbers, index.id, name, documents)
        if index.fingerprint is None or allowed == []:
            return []
        vector = b"" if mode == "keyword" else await self._query_vector(index, query)
        header = {
            "query": query,
            "mode": mode,
            "weight": index.spec.weight,
            "limit": limit + SPARE,
            "vector_bytes": len(vector),
            "filtered": allowed is not None,
        }
        body = vector + pack(f"<{len(allowed or ())}q", *(allowed or ()))
        hits = await self._keeper.search(index, header, body)
        found = await self._store(Tables.passages, index.id, name, dict(hits))
        return found[:limit]

    async def documents(
        self, name: str, *, tenant: str = "default", limit: int = 100, offset: int = 0
    ) -> builtins.list[Document]:
        """Documents by source, without their texts."""
        index = await self._index(name, tenant)
        return await self._store(Tables.documents, index.id, name, limit, offset)

    async def document(self, name: str, id: str, *, tenant: str = "default") -> Document:
        """One document with its text, to which spans refer."""
        index = await self._index(name, tenant)
        return await self._store(Tables.document, index.id, name, id)

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
        found = await self._store(Tables.document, index.id, name, document)
        changed = hash is not None and hash != found.hash
        if not (0 <= start < end <= len(found.text) or changed):
            raise Invalid(
                f"The document has {len(found.text)} characters: there is no span {start}-{end}.",
                code="bad_span",
                details={"field": "end"},
            )
        heading = await self._store(Tables.heading_at, index.id, document, start)
        return Citation(
            document,
            found.title,
            found.source,
            heading,
            found.text[start:end],
            found.text[max(0, start - CONTEXT_CHARS) : start],
            found.text[end : end + CONTEXT_CHARS],
            start,
            end,
            changed,
        )

    async def warm(self) -> None:
        """Start the worker and open every index that holds something, so that no search waits."""
        for index in await self._store(Tables.all_indexes):
            if index.fingerprint:
                await self._keeper.follow(index)

    @property
    def worker(self) -> WorkerProcess | None:
        """The running txtai worker, for its pid and memory."""
        return self._keeper.worker

    async def _index(self, name: str, tenant: str) -> Index:
        return await self._store(Tables.index, tenant, check_name(name))

    def _lease(self, index: Index) -> Any:
        return self._parts.models.lease(index.spec.model, "embed", tenant=index.tenant)

    async def _query_vector(self, index: Index, query: str) -> bytes:
        async with self._lease(index) as lease:
            if lease.embed.fingerprint != index.fingerprint:
                raise Conflict(
                    f"The index '{index.spec.name}' was embedded by another model. Index again "
                    "or rebuild it, and its passages are embedded anew.",
                    code="embedding_changed",
                )
            vectors = await lease.embed.embed([query], urgent=True)
            return bytes(vectors.row(0))

    @asynccontextmanager
    async def _ingest_turn(self, index: Index) -> AsyncIterator[None]:
        """One ingest into an index at a time; the others wait, a bounded number of them."""
        if self._waiting >= MAX_WAITING_INGESTS:
            raise Busy("Too many documents are being indexed.", retry_after_s=5.0)
        lock = self._ingesting.setdefault(index.id, asyncio.Lock())
        self._waiting += 1
        try:
            async with lock:
                yield
        finally:
            self._waiting -= 1


@asynccontextmanager
async def open_indexes(
    settings: Settings, models: Embedders, *, worker: type[WorkerProcess] = WorkerProcess
) -> AsyncIterator[Indexes]:
    """The indexes of the data folder, those of `indexes.yaml` among them.

    Starts no worker yet: the first ingest or search does, or `Indexes.warm`. Raises `Invalid`
    when `indexes.yaml` is wrong, `Conflict` when another process has the indexes open.
    """
    declared = declared_indexes(settings)
    folder = settings.home / "indexes"
    async with open_store(folder, settings.durability) as store:
        for spec in declared.values():
            await store(Tables.declare_index, "default", spec)
        keeper = Keeper(store, folder / "derived", _starter(folder / "derived", worker))
        await keeper.sweep()
        reader = Reader()
        try:
            yield Indexes(Parts(store, keeper, reader, models, settings.max_upload_bytes))
        finally:
            try:
                await reader.close()
            finally:
                await keeper.close()


def _starter(folder: Path, worker: type[WorkerProcess]) -> StartWorker:
    async def start() -> WorkerProcess:
        return await worker.start(
            "indexes.worker:Worker", name="indexes", options={"folder": str(folder)}, threads=1
        )

    return start


def _silent(progress: Progress) -> None:
    return
