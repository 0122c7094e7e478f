"""One ingest into one index: read, embed, commit, and let the derived index follow."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.errors import Invalid, MotetError
from indexes.derived.synchronizer import IndexSynchronizer
from indexes.ingestion.embedding import Embedders, embedded
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.ingestion.walk import File, Listing, read_file, walk
from indexes.reading.reader import READER_VERSION, DocumentReader, ParsedDocument
from indexes.records import Draft, Embedding, Failure, FileState, Index, IngestReport, Progress
from indexes.storage.store import Store
from indexes.storage.tables import Tables, VectorsMissing, document_id, passage_hash
from models.capabilities import Embed

PENDING_PASSAGES = 512
"""Passages gathered, from any number of files, before they are embedded together."""
RACY_NS = 2 * 10**9
"""A file changed this recently may change again without its time telling."""

Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Caption:
    """What a model sees in a picture, and which model that was."""

    text: str
    model: str


Captions = Callable[[bytes, str], Awaitable[Caption]]
"""Looks at a picture for a tenant. Raises a `MotetError` where it cannot."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What every ingest works with."""

    store: Store
    keeper: IndexSynchronizer
    reader: DocumentReader
    models: Embedders
    moves: ReembeddingJobs
    max_bytes: int
    captions: Captions | None = None


@dataclass(slots=True)
class Ingest:
    """Fills `index`. Each document is committed whole or not at all, and stays committed when
    the ingest fails or is cancelled later."""

    parts: Parts
    index: Index
    tell: Tell
    report: IngestReport = field(init=False)
    _began: float = field(default_factory=time.monotonic)
    _pending: list[Draft] = field(default_factory=list)
    _files_done: int = 0
    _files_total: int = 0
    _passages_done: int = 0
    _passages_total: int = 0

    def __post_init__(self) -> None:
        self.report = IngestReport(self.index.spec.name)

    async def folder(self, root: Path) -> IngestReport:
        """All documents below `root`; those whose file has gone are removed."""
        pictures = self.index.spec.pictures and self.parts.captions is not None
        listing = await asyncio.to_thread(walk, root, pictures=pictures)
        self.report.failed += listing.failed
        self._files_total = len(listing.files)
        known = await self.parts.store(Tables.file_states, self.index.id, str(root))
        return await self._settled(self._files(str(root), listing, known))

    async def document(
        self,
        source: str,
        filename: str,
        media_type: str | None,
        data: bytes,
        title: str | None,
        metadata: Mapping[str, Any],
    ) -> IngestReport:
        """One document, unless it is known as it is. Raises `Invalid` when it cannot be read."""
        self._files_total = 1
        id = document_id("", source)
        about = repr((media_type, title, sorted(metadata.items()))).encode()
        recipe = f"{self._recipe()}:{hashlib.sha256(about).hexdigest()[:16]}"
        state = FileState(id, hashlib.sha256(data).hexdigest(), len(data), 0, recipe)
        known = await self.parts.store(Tables.file_state, self.index.id, id)
        self.report.documents = [id]
        if known == state:
            self.report.unchanged = 1
            return self.report
        draft = await self._read(data, state, "", source, filename, media_type)
        draft.metadata.update(metadata)
        return await self._settled(self._single(draft.titled(title)))

    async def _settled(self, work: Any) -> IngestReport:
        try:
            await work
            await self._flush()
        except BaseException:
            # What was committed is acknowledged and must be found, though nobody waits for it.
            self.parts.keeper.follow_later(self.index)
            raise
        if self.report.changed or self.report.removed:
            await self.parts.keeper.removed(self.index)
        await self.parts.keeper.follow(self.index)
        self.report.elapsed_s = time.monotonic() - self._began
        return self.report

    async def _single(self, draft: Draft) -> None:
        self._add(draft)
        await self._flush()
        self._count_file()

    async def _files(self, root: str, listing: Listing, known: dict[str, FileState]) -> None:
        for file in listing.files:
            try:
                await self._file(root, file, known.get(file.source))
            except Invalid as error:
                self.report.failed.append(Failure(file.source, error.code, error.message))
            self._count_file()
            if sum(len(draft.chunks) for draft in self._pending) >= PENDING_PASSAGES:
                await self._flush()
        await self._flush()
        present = {file.source for file in listing.files}
        gone = [
            state.id
            for source, state in known.items()
            if source not in present and listing.lacks(source)
        ]
        await self.parts.store(Tables.delete_documents, self.index.id, gone)
        self.report.removed = len(gone)

    async def _file(self, root: str, file: File, known: FileState | None) -> None:
        as_read = known is not None and known.recipe == self._recipe()
        same_stat = known and (known.mtime_ns, known.size_bytes) == (file.mtime_ns, file.size_bytes)
        if as_read and same_stat:
            self.report.unchanged += 1
            return
        mtime_ns = file.mtime_ns if time.time_ns() - file.mtime_ns > RACY_NS else 0
        data = await asyncio.to_thread(read_file, file, self.parts.max_bytes)
        bytes_hash = hashlib.sha256(data).hexdigest()
        id = document_id(root, file.source)
        if known and as_read and known.bytes_hash == bytes_hash:
            await self.parts.store(Tables.set_mtime, self.index.id, id, mtime_ns)
            self.report.unchanged += 1
            return
        state = FileState(id, bytes_hash, len(data), mtime_ns, self._recipe())
        draft = await self._read(data, state, root, file.source, file.source, None)
        draft.metadata["path"] = str(file.path)
        self._add(draft)

    def _recipe(self) -> str:
        return f"{READER_VERSION}:{self.index.spec.chunk_words}"

    async def _read(
        self,
        data: bytes,
        state: FileState,
        origin: str,
        source: str,
        filename: str,
        media_type: str | None,
    ) -> Draft:
        found = await self._reading(data, filename, media_type)
        return Draft(
            origin,
            source,
            found.title,
            found.media_type,
            found.text,
            state,
            found.metadata,
            found.chunks,
        )

    async def _reading(self, data: bytes, filename: str, media_type: str | None) -> ParsedDocument:
        """The document as text; a picture as what a model sees in it, which is marked as such."""
        words = self.index.spec.chunk_words
        try:
            return await self.parts.reader.read(data, filename, media_type, words)
        except Invalid as error:
            if error.code != "needs_caption_model" or self.parts.captions is None:
                raise
            seen = await self._caption(data, self.parts.captions, error)
        found = await self.parts.reader.read(data, filename, media_type, words, caption=seen.text)
        found.metadata["captioned_by"] = seen.model
        return found

    async def _caption(self, data: bytes, captions: Captions, needed: Invalid) -> Caption:
        try:
            return await captions(data, self.index.tenant)
        except Invalid:
            raise
        except MotetError as error:
            # The next documents do not need that model.
            raise Invalid(
                f"{needed.message} {error.message}", code=needed.code, details=needed.details
            ) from error

    def _add(self, draft: Draft) -> None:
        self._pending.append(draft)
        self._passages_total += len(draft.chunks)

    async def _flush(self) -> None:
        """Embed what is pending, commit document by document, let searches find it."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        self.index = await self.parts.moves.embedded(self.index)
        async with self.parts.moves.serving(self.index) as embed:
            vectors = await self._vectors(embed, pending)
            for draft in pending:
                await self._commit(draft, vectors)
        await self.parts.keeper.follow(self.index)

    async def _vectors(
        self, embed: Embed | None, drafts: Sequence[Draft]
    ) -> dict[bytes, Embedding]:
        texts = {passage_hash(text): text for draft in drafts for text in draft.texts()}
        known = await self.parts.store(Tables.known_vectors, self.index.space, list(texts))
        missing = [text for hash, text in texts.items() if hash not in known]
        total = sum(len(draft.chunks) for draft in drafts)
        self.report.embedded += len(missing)
        self.report.reused += total - len(missing)
        self._count_passages(total - len(missing))
        await self.parts.moves.keep_up(self.index, list(texts.values()))
        return await embedded(embed, missing, self._count_passages) if embed else {}

    async def _commit(self, draft: Draft, vectors: Mapping[bytes, Embedding]) -> None:
        hashes = [passage_hash(text) for text in draft.texts()]
        new = {hash: vectors[hash] for hash in hashes if hash in vectors}
        put = Tables.put_document
        try:
            replaced = await self.parts.store(put, self.index.id, draft, self.index.space, new)
        except VectorsMissing:
            # Another model serves by now, or a document that had these vectors too was deleted.
            self.index = await self.parts.store(Tables.present, self.index.id)
            async with self.parts.moves.serving(self.index) as embed:
                new = await embedded(embed, draft.texts()) if embed else {}
            replaced = await self.parts.store(put, self.index.id, draft, self.index.space, new)
        self.report.changed += replaced
        self.report.added += not replaced
        self.report.passages += len(hashes)
        if draft.origin:
            self.report.documents.append(draft.state.id)

    def _count_file(self) -> None:
        self._files_done += 1
        self._report()

    def _count_passages(self, count: int) -> None:
        self._passages_done += count
        self._report()

    def _report(self) -> None:
        self.tell(
            Progress(self._files_done, self._files_total, self._passages_done, self._passages_total)
        )
