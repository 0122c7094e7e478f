"""What is put into an index and taken out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexes.checks import checked
from indexes.ingestion import ingests
from indexes.ingestion.ingest import Ingest, Parts
from indexes.ingestion.ingests import Ingests
from indexes.ingestion.walk import resolved, too_large
from indexes.records import Index, IngestReport, Progress
from indexes.storage import lookup
from indexes.storage.tables import Tables

Tell = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A document that was handed in."""

    source: str
    data: bytes
    media_type: str | None
    filename: str | None
    title: str | None
    metadata: Mapping[str, Any] | None


class Ingestion:
    """Fills indexes that the caller has looked up, one ingest into each at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store
        self.ingests = Ingests(parts.store)

    async def folder(self, index: Index, folder: Path, tell: Tell) -> IngestReport:
        root = await asyncio.to_thread(resolved, folder)
        return await self.ingests.run(index, str(root), self._work(index, root), tell)

    async def begin_folder(self, index: Index, folder: Path) -> str:
        root = await asyncio.to_thread(resolved, folder)
        return await self.ingests.begin(index, str(root), self._work(index, root))

    async def go_on(self) -> None:
        """Go on, in the background, with the folders that an earlier process did not finish."""
        for state, tenant in await self._store(ingests.unfinished):
            if state.kind == "folder":
                index = await self._store(Tables.index, tenant, state.index)
                work = self._work(index, Path(state.origin))
                self.ingests.go_on(state.id, f"indexes ingest {state.index}", work)

    async def document(self, index: Index, upload: Upload, tell: Tell) -> IngestReport:
        source = upload.source
        if len(upload.data) > self._parts.max_bytes:
            raise too_large(source, self._parts.max_bytes)
        about = checked(source, upload.title, upload.metadata)
        filename = upload.filename or source
        async with self.ingests.turn(index):
            ingest = Ingest(self._parts, await self._current(index), tell)
            return await ingest.document(
                source, filename, upload.media_type, upload.data, upload.title, about
            )

    async def delete_document(self, index: Index, id: str) -> None:
        await self._store(lookup.document, index.id, index.spec.name, id)
        await self._store(Tables.delete_documents, index.id, [id])
        await self._parts.keeper.removed(index)
        # Searches read texts from the store: it is not found any more, whenever this is done.
        self._parts.keeper.follow_later(index)

    async def rebuild(self, index: Index) -> None:
        async with self.ingests.turn(index):
            index = await self._current(index)
            if index.fingerprint is None:
                return
            model = index.spec.model
            async with self._parts.models.lease(model, "embed", tenant=index.tenant) as lease:
                same = lease.embed.fingerprint == index.fingerprint
            if same:
                await self._parts.keeper.rebuild(index)
            else:
                await self._parts.moves.begin(index)

    def _work(self, index: Index, root: Path) -> Callable[[Tell], Awaitable[IngestReport]]:
        async def work(tell: Tell) -> IngestReport:
            async with self.ingests.turn(index):
                return await Ingest(self._parts, await self._current(index), tell).folder(root)

        return work

    async def _current(self, index: Index) -> Index:
        """The index as it is now that its turn has come."""
        return await self._store(Tables.index, index.tenant, index.spec.name)
