"""The composition root: everything is opened here, handed on, and closed in reverse order."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from fastapi import Depends, Request

from config.errors import Invalid
from config.settings import Settings
from graphs.catalog import Catalog, open_catalog
from graphs.compile.cache import NodeCache
from graphs.run_context import RunContext
from indexes.crawls.crawls import Crawler
from indexes.crawls.polite_fetcher import CrawlLimits, Fetch
from indexes.service import Indexes, open_indexes
from models.catalog.watch import ModelsWatch, following
from models.devices.machine import Machine, find_machine
from models.manager import Models, open_models
from runs.checkpoints import open_checkpoints
from runs.database import open_run_database
from runs.engine import RunEngine
from runs.record import Run
from runs.store import RunStore
from runs.threads import Threads
from runs.webhooks import Post, Webhooks
from server.data_folder import lock_data_folder
from server.folder_watcher import FolderWatcher
from server.media import Picture, captions_of, making_of, pictures_of, tool_parts
from server.temp_files import TempFiles
from tools.addresses import Network
from tools.artifacts import Artifacts
from tools.media import Media
from tools.media_deps import MediaToolDeps
from tools.registry import Toolbox, load_toolbox
from tools.responses import FetchedPage
from tools.safe_fetch import CacheValidators, FetchLimits, fetch, post

PAGE_BYTES, PAGE_TIMEOUT_S = 8 * 2**20, 20.0
"""Bounds of one page of a crawl, which fetches many."""


@dataclass(frozen=True)
class Services:
    """Every part of a running Motet."""

    settings: Settings
    machine: Machine
    models: Models
    models_file: ModelsWatch
    indexes: Indexes
    crawler: Crawler
    watching: FolderWatcher
    exchange: TempFiles
    tools: Toolbox
    making: MediaToolDeps
    catalog: Catalog
    store: RunStore
    threads: Threads
    engine: RunEngine
    fetch_limits: FetchLimits

    @property
    def artifacts(self) -> Artifacts:
        return self.making.artifacts


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """All parts on the data folder, interrupted runs taken up again.

    Raises `Conflict` while another process has the folder. On exit runs are drained for
    `settings.drain_s` and continue at the next start.
    """
    async with AsyncExitStack() as stack:
        open_ = stack.enter_async_context
        stack.enter_context(lock_data_folder(settings.home))
        limits = FetchLimits(allowed_networks=_networks(settings))
        machine = await find_machine()
        models = await open_(open_models(settings, devices=machine))
        models_file = await open_(following(settings, models.file, models.replace_file))
        media = Media()
        stack.push_async_callback(media.close)
        artifacts = Artifacts(settings.home / "artifacts", fsync=settings.durability == "power")
        making = making_of(models, media, artifacts, limits)
        captions = captions_of(models, media)
        indexes = await open_(open_indexes(settings, models, caption=captions))
        watching = FolderWatcher(indexes)
        stack.push_async_callback(watching.close)
        tools = load_toolbox(tool_parts(indexes, limits, making), settings.home / "tools")
        catalog = await open_(open_catalog(settings))
        context = _contexts(models, indexes, tools, pictures_of(making))
        runs = await open_(_open_runs(settings, catalog, context, _poster(limits)))
        store, threads, engine = runs
        yield Services(
            settings=settings,
            machine=machine,
            models=models,
            models_file=models_file,
            indexes=indexes,
            crawler=Crawler(indexes, _fetcher(limits), CrawlLimits()),
            watching=watching,
            exchange=TempFiles(settings.home),
            tools=tools,
            making=making,
            catalog=catalog,
            store=store,
            threads=threads,
            engine=engine,
            fetch_limits=limits,
        )


@asynccontextmanager
async def _open_runs(
    settings: Settings, catalog: Catalog, context: Callable[[Run], RunContext], post: Post
) -> AsyncIterator[tuple[RunStore, Threads, RunEngine]]:
    file = settings.home / "runs.db"
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_run_database(file, settings.durability))
        checkpoints = await stack.enter_async_context(open_checkpoints(database, file))
        store = RunStore(database)
        await store.setup()
        webhooks = Webhooks(store, post)
        stack.push_async_callback(webhooks.close)
        engine = RunEngine(
            store,
            checkpoints,
            catalog,
            lambda run: replace(context(run), claim=partial(store.claim, run.run_id)),
            webhooks,
            max_active=settings.max_active_runs,
            max_queued=settings.max_queued_runs,
        )
        stack.push_async_callback(engine.close, settings.drain_s)
        await engine.recover()
        yield store, Threads(store, checkpoints, engine), engine


def _contexts(
    models: Models, indexes: Indexes, tools: Toolbox, picture: Picture
) -> Callable[[Run], RunContext]:
    """What makes the context that the nodes of a run are given."""
    cache = NodeCache()

    def context(run: Run) -> RunContext:
        return RunContext(
            models=models,
            indexes=indexes,
            tools=tools,
            tenant=run.tenant,
            run_id=run.run_id,
            thread_id=run.thread_id,
            cache=cache,
            picture=picture,
        )

    return context


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]


def _networks(settings: Settings) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(network) for network in settings.allowed_networks)
    except ValueError as error:
        raise Invalid(
            f"allowed_networks: {error}.", details={"field": "allowed_networks"}
        ) from error


def _fetcher(limits: FetchLimits) -> Fetch:
    bounds = replace(limits, max_bytes=PAGE_BYTES, timeout_s=PAGE_TIMEOUT_S)

    async def fetched(url: str, etag: str | None, last_modified: str | None) -> FetchedPage:
        return await fetch(url, bounds, known=CacheValidators(etag, last_modified))

    return fetched


def _poster(limits: FetchLimits) -> Post:
    async def told(url: str, body: bytes) -> int:
        return await post(url, body, limits)

    return told
