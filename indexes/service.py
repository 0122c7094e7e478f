"""Opening the indexes of the data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from config.settings import Settings
from indexes.derived.supervisor import StartWorker
from indexes.derived.synchronizer import IndexSynchronizer
from indexes.ingestion.embedding import Embedders
from indexes.ingestion.ingest import Captions, Parts
from indexes.ingestion.ingestion import Ingestion
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.library import Indexes
from indexes.reading.reader import DocumentReader
from indexes.spec import declared_indexes
from indexes.storage import snapshot
from indexes.storage.store import open_store
from indexes.storage.tables import Tables
from models.workers.process import WorkerProcess

__all__ = ["Indexes", "open_indexes"]


@asynccontextmanager
async def open_indexes(
    settings: Settings,
    models: Embedders,
    *,
    captions: Captions | None = None,
    worker: type[WorkerProcess] = WorkerProcess,
) -> AsyncIterator[Indexes]:
    """The indexes of the data folder, those of `indexes.yaml` among them.

    Starts no worker yet, unless an ingest that was cut short goes on: the first ingest or search
    does, or `Indexes.warm`. Pictures are refused without `captions`. Raises `Invalid` when
    `indexes.yaml` is wrong, `Conflict` when another process has the indexes open.
    """
    declared = declared_indexes(settings)
    folder = settings.home / "indexes"
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(folder, settings.durability))
        await store(snapshot.sweep)
        for spec in declared.values():
            await store(Tables.declare_index, "default", spec)
        keeper = IndexSynchronizer(store, folder / "derived", _starter(folder / "derived", worker))
        await keeper.sweep()
        stack.push_async_callback(keeper.close)
        reader = DocumentReader()
        stack.push_async_callback(reader.close)
        moves = ReembeddingJobs(store, keeper, models)
        stack.push_async_callback(moves.close)
        parts = Parts(store, keeper, reader, models, moves, settings.max_upload_bytes, captions)
        filling = Ingestion(parts)
        stack.push_async_callback(filling.ingests.close)
        await moves.go_on()
        await filling.go_on()
        yield Indexes(store, keeper, moves, filling, models)


def _starter(folder: Path, worker: type[WorkerProcess]) -> StartWorker:
    async def start() -> WorkerProcess:
        return await worker.start(
            "indexes.derived.worker:Worker",
            name="indexes",
            options={"folder": str(folder)},
            threads=1,
        )

    return start
