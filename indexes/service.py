"""Opens the indexes of the data folder, and closes them in the reverse order.

Owns how the parts are wired together. Nothing else in this package starts a process or a thread
before it is used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from config.quotas import Quota
from config.settings import Settings
from indexes.derived.supervisor import StartWorker
from indexes.derived.synchronizer import IndexSynchronizer
from indexes.index import Index, IndexServices
from indexes.ingestion.drafts import CaptionPicture
from indexes.ingestion.embedding import Embedders
from indexes.ingestion.ingest import IngestDeps
from indexes.ingestion.ingestion import Ingestion
from indexes.ingestion.reembedding import ReembeddingJobs
from indexes.library import Indexes
from indexes.reading.reader import DocumentReader
from indexes.retrieval.search import Retriever
from indexes.spec import IndexSpec, declared_indexes
from indexes.storage import index_rows, snapshot
from indexes.storage.store import Store, open_store
from models.workers.confinement import PARSING
from models.workers.process import WorkerProcess

__all__ = ["Index", "Indexes", "open_indexes"]


@asynccontextmanager
async def open_indexes(
    settings: Settings,
    models: Embedders,
    *,
    tenant: str,
    caption: CaptionPicture | None = None,
    worker: type[WorkerProcess] = WorkerProcess,
) -> AsyncIterator[Indexes]:
    """Open the indexes of the data folder, those of `indexes.yaml` among them: the tenant's.

    No worker starts yet, unless an ingest that was cut short is resumed: the first ingest or search
    starts it, or `Indexes.warm`. Pictures are refused without `caption`. Raises `Invalid` when
    `indexes.yaml` is wrong, `Conflict` (`data_folder_in_use`) when another process has them open.
    """
    folder = settings.home / "indexes"
    async with AsyncExitStack() as stack:
        declared = declared_indexes(settings)
        store = await stack.enter_async_context(open_store(folder, settings.durability))
        await _prepare(store, tenant, declared.values())
        synchronizer = IndexSynchronizer(
            store, folder / "derived", _starter(folder / "derived", worker)
        )
        # Before anything can be asked for: what a killed process left holds deleted words.
        await synchronizer.sweep()
        stack.push_async_callback(synchronizer.close)
        reader = DocumentReader()
        stack.push_async_callback(reader.close)
        reembedding = ReembeddingJobs(store, synchronizer, models)
        stack.push_async_callback(reembedding.close)
        ingestion = Ingestion(
            IngestDeps(
                store,
                synchronizer,
                reader,
                models,
                reembedding,
                settings.max_upload_bytes,
                _ingest_quota(settings),
                caption,
            )
        )
        stack.push_async_callback(ingestion.jobs.close)
        await reembedding.resume()
        await ingestion.resume_folders()
        search = Retriever(store, synchronizer, reembedding, models, ingestion.jobs.is_ingesting)
        services = IndexServices(store, ingestion, search)
        yield Indexes(services, synchronizer, reembedding, _index_quota(settings))


def _index_quota(settings: Settings) -> Quota:
    return Quota("max_indexes_per_tenant", settings.max_indexes_per_tenant, "indexes")


def _ingest_quota(settings: Settings) -> Quota:
    return Quota(
        "max_ingests_per_tenant",
        settings.max_ingests_per_tenant,
        "documents and folders being indexed",
        retry_after_s=5,
    )


async def _prepare(store: Store, tenant: str, declared: Iterable[IndexSpec]) -> None:
    """Remove half an import that a crash left, and take over what `indexes.yaml` declares."""
    await store(snapshot.sweep)
    for spec in declared:
        await store(index_rows.declare_index, tenant, spec)


def _starter(folder: Path, worker: type[WorkerProcess]) -> StartWorker:
    async def start() -> WorkerProcess:
        # Before the worker starts: only what is there can be named as writable.
        folder.mkdir(parents=True, exist_ok=True)
        return await worker.start(
            "indexes.derived.worker:IndexHandler",
            name="indexes",
            options={"folder": str(folder)},
            threads=1,
            confinement=replace(PARSING, writable=(str(folder),)),
        )

    return start
