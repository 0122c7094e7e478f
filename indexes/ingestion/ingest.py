"""One ingest into one index: read, embed, commit, and let the derived index follow.

Owns the batching (documents are gathered until they are worth a batch of the embedding model), the
detection of what is unchanged, and the report. Leaves reading to `drafts`, the choice of the
embedding model to `reembedding`, rows to `storage`.

Invariants: a document is committed whole or not at all, and stays committed when the ingest fails
or is cancelled later. When an ingest returns, the derived index has caught up with all it did.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.errors import Invalid
from config.quotas import Quota
from indexes.derived.synchronizer import IndexSynchronizer
from indexes.ingestion.drafts import CaptionPicture, DraftReader, RawDocument, recipe
from indexes.ingestion.embedding import Embedders, embed_texts
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.ingestion.walk import Listing, WalkedFile, read_file, walk
from indexes.reading.reader import DocumentReader
from indexes.records import Draft, Embedding, FileState, IndexRecord
from indexes.reports import IngestFailure, IngestProgress, IngestReport, OnProgress
from indexes.storage import documents, index_rows, spaces
from indexes.storage.documents import VectorsMissing
from indexes.storage.hashes import document_id, passage_hash
from indexes.storage.store import Store
from models.capabilities import Embed

PENDING_PASSAGES = 512
"""Passages gathered, from any number of files, before they are embedded together."""
RACY_NS = 2 * 10**9
"""A file changed so recently may change again within one tick of its file system's clock: its
time is not remembered, and the next ingest compares its bytes."""


@dataclass(frozen=True, slots=True)
class IngestDeps:
    """What every ingest works with."""

    store: Store
    synchronizer: IndexSynchronizer
    reader: DocumentReader
    models: Embedders
    reembedding: ReembeddingJobs
    max_bytes: int
    quota: Quota
    """Of the ingests of a tenant."""
    caption: CaptionPicture | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A document that was handed in."""

    source: str
    data: bytes
    media_type: str | None
    filename: str | None
    title: str | None
    metadata: Mapping[str, Any] | None


@dataclass(slots=True)
class Ingest:
    """Reads, embeds and commits documents of `index`; the caller holds the index's lock."""

    deps: IngestDeps
    index: IndexRecord
    on_progress: OnProgress
    report: IngestReport = field(init=False)
    _drafts: DraftReader = field(init=False)
    _began_s: float = field(default_factory=time.monotonic)
    _pending: list[Draft] = field(default_factory=list)
    _files_done: int = 0
    _files_total: int = 0
    _passages_done: int = 0
    _passages_total: int = 0

    def __post_init__(self) -> None:
        self.report = IngestReport(self.index.spec.name)
        self._drafts = DraftReader(self.deps.reader, self.deps.caption)

    async def folder(self, root: Path) -> IngestReport:
        """Index all documents below `root`, and remove those whose file is missing."""
        pictures = self.index.spec.pictures and self.deps.caption is not None
        listing = await asyncio.to_thread(walk, root, pictures=pictures)
        self.report.failed += listing.failed
        self._files_total = len(listing.files)
        known = await self.deps.store(documents.list_file_states, self.index.id, str(root))
        return await self._complete(self._add_files(str(root), listing, known))

    async def document(self, upload: Upload, metadata: Mapping[str, Any]) -> IngestReport:
        """Index one document, unless it is stored just so. Raises `Invalid` if it is unreadable."""
        self._files_total = 1
        id = document_id("", upload.source)
        details = (upload.media_type, upload.title, sorted(metadata.items()))
        details_hash = hashlib.sha256(repr(details).encode()).hexdigest()[:16]
        bytes_hash = hashlib.sha256(upload.data).hexdigest()
        state = FileState(
            id, bytes_hash, len(upload.data), 0, f"{recipe(self.index)}:{details_hash}"
        )
        known = await self.deps.store(documents.get_file_state, self.index.id, id)
        self.report.documents = [id]
        if known == state:
            self.report.unchanged = 1
            return self.report
        filename = upload.filename or upload.source
        raw = RawDocument("", upload.source, filename, upload.media_type, upload.data, state)
        draft = await self._drafts.read(self.index, raw)
        draft.metadata.update(metadata)
        return await self._complete(self._add_one(draft.titled(upload.title)))

    async def _complete(self, work: Coroutine[Any, Any, None]) -> IngestReport:
        """Do the work, and let the derived index follow; also when the work is cut short."""
        try:
            await work
            await self._flush()
        except BaseException:
            # What was committed is acknowledged and must be found, though nobody waits for it.
            self.deps.synchronizer.follow_later(self.index)
            raise
        if self.report.changed or self.report.removed:
            await self.deps.synchronizer.redact_removed(self.index)
        await self.deps.synchronizer.follow(self.index)
        self.report.elapsed_s = time.monotonic() - self._began_s
        return self.report

    async def _add_one(self, draft: Draft) -> None:
        self._add(draft)
        await self._flush()
        self._count_file()

    async def _add_files(self, root: str, listing: Listing, known: dict[str, FileState]) -> None:
        for file in listing.files:
            try:
                await self._add_file(root, file, known.get(file.source))
            except Invalid as error:
                self.report.failed.append(
                    IngestFailure(file.source, error.code, error.public_message)
                )
            self._count_file()
            if sum(len(draft.chunks) for draft in self._pending) >= PENDING_PASSAGES:
                await self._flush()
        await self._flush()
        await self._delete_missing(listing, known)

    async def _delete_missing(self, listing: Listing, known: dict[str, FileState]) -> None:
        present = {file.source for file in listing.files}
        missing = [
            state.id
            for source, state in known.items()
            if source not in present and listing.lacks(source)
        ]
        await self.deps.store(documents.delete_documents, self.index.id, missing)
        self.report.removed = len(missing)

    async def _add_file(self, root: str, file: WalkedFile, known: FileState | None) -> None:
        """Read a file, unless its time and size, or its bytes, are those that were indexed."""
        same_recipe = known is not None and known.recipe == recipe(self.index)
        same_stat = known and (known.mtime_ns, known.size_bytes) == (file.mtime_ns, file.size_bytes)
        if same_recipe and same_stat:
            self.report.unchanged += 1
            return
        mtime_ns = file.mtime_ns if time.time_ns() - file.mtime_ns > RACY_NS else 0
        data = await asyncio.to_thread(read_file, file, self.deps.max_bytes)
        bytes_hash = hashlib.sha256(data).hexdigest()
        id = document_id(root, file.source)
        if known and same_recipe and known.bytes_hash == bytes_hash:
            await self.deps.store(documents.set_mtime, self.index.id, id, mtime_ns)
            self.report.unchanged += 1
            return
        state = FileState(id, bytes_hash, len(data), mtime_ns, recipe(self.index))
        raw = RawDocument(root, file.source, file.source, None, data, state)
        draft = await self._drafts.read(self.index, raw)
        draft.metadata["path"] = str(file.path)
        self._add(draft)

    def _add(self, draft: Draft) -> None:
        self._pending.append(draft)
        self._passages_total += len(draft.chunks)

    async def _flush(self) -> None:
        """Embed what is pending, commit document by document, let searches find it."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        self.index = await self.deps.reembedding.ensure_model(self.index)
        async with self.deps.reembedding.serving(self.index) as embed:
            vectors = await self._embed(embed, pending)
            for draft in pending:
                await self._commit(draft, vectors)
        await self.deps.synchronizer.follow(self.index)

    async def _embed(self, embed: Embed | None, drafts: Sequence[Draft]) -> dict[bytes, Embedding]:
        """Embed the drafts' passages that have no vector yet; by hash."""
        texts = {passage_hash(text): text for draft in drafts for text in draft.texts()}
        known = await self.deps.store(spaces.find_known_hashes, self.index.space, list(texts))
        missing = [text for hash, text in texts.items() if hash not in known]
        total = sum(len(draft.chunks) for draft in drafts)
        self.report.embedded += len(missing)
        self.report.reused += total - len(missing)
        self._count_passages(total - len(missing))
        await self.deps.reembedding.embed_for_next(self.index, list(texts.values()))
        return await embed_texts(embed, missing, self._count_passages) if embed else {}

    async def _commit(self, draft: Draft, vectors: Mapping[bytes, Embedding]) -> None:
        hashes = [passage_hash(text) for text in draft.texts()]
        new = {hash: vectors[hash] for hash in hashes if hash in vectors}
        put = documents.put_document
        try:
            replaced = await self.deps.store(put, self.index.id, draft, self.index.space, new)
        except VectorsMissing:
            # A race between `_embed` and here, both outside of the transaction: another model
            # serves by now, or the last other passage that had one of these vectors was deleted.
            # All passages are embedded this time, so that nothing depends on what is stored.
            self.index = await self.deps.store(index_rows.get_index, self.index.id)
            async with self.deps.reembedding.serving(self.index) as embed:
                new = await embed_texts(embed, draft.texts()) if embed else {}
            replaced = await self.deps.store(put, self.index.id, draft, self.index.space, new)
        self.report.changed += replaced
        self.report.added += not replaced
        self.report.passages += len(hashes)
        if draft.origin:
            self.report.documents.append(draft.state.id)

    def _count_file(self) -> None:
        self._files_done += 1
        self._notify()

    def _count_passages(self, count: int) -> None:
        self._passages_done += count
        self._notify()

    def _notify(self) -> None:
        self.on_progress(
            IngestProgress(
                self._files_done, self._files_total, self._passages_done, self._passages_total
            )
        )
