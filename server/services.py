"""The composition root: every part of a running Motet is opened here and handed on.

The parts are opened in one order, in which each may use those before it, and closed in the
reverse one. No other module makes a part, and none is a global. What a route needs of them comes
by `ServicesOf`; commands and notebooks open the same root without HTTP.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request

from config.errors import Invalid
from config.quotas import Quota
from config.settings import Settings
from graphs.catalog import Catalog, open_catalog
from indexes.crawls.crawls import Crawler
from indexes.crawls.polite_fetcher import CrawlLimits
from indexes.service import Indexes, open_indexes
from models.additions.additions import Additions
from models.catalog.watch import ModelsWatch, watch_models
from models.devices.machine import Machine, find_machine
from models.manager import Models, open_models
from runs.abandoned_steps import ignore_abandoned_steps
from runs.checkpoints import Checkpoints, open_checkpoints
from runs.database import RunDatabase, open_run_database
from runs.deliveries import Deliveries
from runs.engine import RunEngine
from runs.retention import Retention, RetentionPolicy
from runs.store import RunStore
from runs.threads import Threads
from runs.webhook_signing import WebhookSigner
from runs.webhooks import Webhooks
from server.adapters.media import PictureCaptioner, PictureReader, media_tool_deps, tool_deps
from server.adapters.run_contexts import RunContextFactory
from server.adapters.web import PageFetcher, WebhookSender
from server.data_folder import lock_data_folder
from server.folder_watcher import FolderWatcher
from server.lifecycle import PartStack
from server.owner_token import OwnerToken
from server.readiness import Readiness
from server.temp_files import TempFiles
from server.tenants import LOCAL_TENANT
from tools.addresses import Network
from tools.artifacts import Artifacts
from tools.media import Media
from tools.media_deps import MediaToolDeps
from tools.name_resolver import NameResolver
from tools.registry import Toolbox, load_toolbox
from tools.safe_fetch import FetchLimits
from tools.user_code.executor import PartedExecutor
from tools.user_code.threads import UserThreads


@dataclass(frozen=True)
class Services:
    """Every part of a running Motet."""

    settings: Settings
    machine: Machine
    models: Models
    models_file: ModelsWatch
    model_additions: Additions
    media_tools: MediaToolDeps
    indexes: Indexes
    crawler: Crawler
    folder_watcher: FolderWatcher
    temp_files: TempFiles
    tools: Toolbox
    user_threads: UserThreads
    catalog: Catalog
    store: RunStore
    threads: Threads
    engine: RunEngine
    webhooks: Webhooks
    retention: Retention
    fetch_limits: FetchLimits
    readiness: Readiness
    owner_token: OwnerToken

    @property
    def artifacts(self) -> Artifacts:
        return self.media_tools.artifacts


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open all parts on the data folder, and take up interrupted runs.

    On exit runs are drained for `settings.drain_s`; they continue at the next start. Raises
    `Conflict` (`data_folder_in_use`) while another process has the folder, `Unavailable`
    (`data_folder_unusable`) where it cannot be one. Until the exit, all files that this process
    makes are its owner's alone.
    """
    async with PartStack() as stack:
        # First in, last out: another process may open the folder once nothing here writes to it.
        user_threads = UserThreads()
        executor = PartedExecutor()
        in_use = partial(_runs_user_code, user_threads, executor)
        stack.enter_context(lock_data_folder(settings.home, in_use))
        asyncio.get_running_loop().set_default_executor(executor)
        stack.enter_context(ignore_abandoned_steps())
        limits = FetchLimits(
            allowed_networks=_networks(settings),
            allowed_ports=frozenset(settings.allowed_ports),
            resolve=NameResolver(),
        )

        machine = await find_machine()
        models = await stack.open_part("models", open_models(settings, devices=machine))
        watch = watch_models(settings, models.file, models.replace_file)
        models_file = await stack.open_part("watch of models.yaml", watch)

        media = Media(
            quota=Quota(
                "max_media_calls_per_tenant",
                settings.max_media_calls_per_tenant,
                "pictures and sounds at once",
                retry_after_s=5,
            )
        )
        stack.close_later("media workers", media.close)
        artifacts = Artifacts(settings.home / "artifacts", fsync=settings.durability == "power")
        media_tools = media_tool_deps(models, media, artifacts, limits)

        captioner = PictureCaptioner(models, media)
        opening = open_indexes(settings, models, tenant=LOCAL_TENANT, caption=captioner)
        indexes = await stack.open_part("indexes", opening)
        folder_watcher = FolderWatcher(indexes)
        stack.close_later("folder watcher", folder_watcher.close)

        shipped = tool_deps(indexes, limits, media_tools)
        tools = load_toolbox(shipped, settings.home / "tools", user_threads)
        catalog = await stack.open_part("agents", open_catalog(settings, threads=user_threads))

        storage = await _open_run_storage(settings, stack)
        pictures = PictureReader(media_tools)
        contexts = RunContextFactory(models, indexes, tools, pictures, settings.web_hosts)
        webhooks = _make_webhooks(settings, storage, limits)
        stack.close_later("webhooks", webhooks.close)
        engine = _make_engine(settings, storage, catalog, contexts, webhooks)
        stack.close_later("run engine", engine.close, settings.drain_s)
        await engine.recover(hold=settings.hold_runs)
        following = engine.agents.follow()
        await stack.open_part("versions of agents", _in_background(following, "agent versions"))
        retention = Retention(storage.database, engine, artifacts)
        pruning = retention.prune_regularly(_retention_policy(settings))
        await stack.open_part("retention", _in_background(pruning, "retention"))
        yield Services(
            settings=settings,
            machine=machine,
            models=models,
            models_file=models_file,
            model_additions=Additions(settings, models, models_file),
            media_tools=media_tools,
            indexes=indexes,
            crawler=Crawler(indexes, PageFetcher(limits), CrawlLimits()),
            folder_watcher=folder_watcher,
            temp_files=TempFiles(settings.home),
            tools=tools,
            user_threads=user_threads,
            catalog=catalog,
            store=storage.store,
            threads=Threads(storage.store, storage.checkpoints, engine),
            engine=engine,
            webhooks=webhooks,
            retention=retention,
            fetch_limits=limits,
            owner_token=OwnerToken.issue(settings.home),
            readiness=Readiness(settings.home, engine, artifacts),
        )


def _runs_user_code(threads: UserThreads, executor: PartedExecutor) -> bool:
    return bool(threads.calls) or executor.runs_user_code


class _RunStorage(NamedTuple):
    """Both sides of the database of runs: ours, and LangGraph's checkpoints."""

    database: RunDatabase
    store: RunStore
    checkpoints: Checkpoints


async def _open_run_storage(settings: Settings, stack: PartStack) -> _RunStorage:
    file = settings.home / "runs.db"
    opening = open_run_database(file, settings.durability)
    database = await stack.open_part("database of runs", opening)
    checkpoints = await stack.open_part("checkpoints", open_checkpoints(database, file))
    return _RunStorage(database, RunStore(database), checkpoints)


def _retention_policy(settings: Settings) -> RetentionPolicy:
    return RetentionPolicy(
        runs_days=settings.keep_runs_days,
        threads_days=settings.keep_threads_days,
        artifacts_days=settings.keep_artifacts_days,
        keys_days=settings.keep_keys_days,
    )


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _make_webhooks(settings: Settings, storage: _RunStorage, limits: FetchLimits) -> Webhooks:
    secret = settings.webhook_secret
    try:
        signer = WebhookSigner(secret.get_secret_value() if secret else "")
    except ValueError as error:
        raise Invalid(
            f"webhook_secret: {error}.",
            code="invalid_settings",
            details={"field": "webhook_secret"},
        ) from error
    deliveries = Deliveries(storage.database)
    return Webhooks(storage.store, deliveries, WebhookSender(limits), signer)


def _make_engine(
    settings: Settings,
    storage: _RunStorage,
    catalog: Catalog,
    contexts: RunContextFactory,
    webhooks: Webhooks,
) -> RunEngine:
    return RunEngine(
        storage.store,
        storage.checkpoints,
        catalog,
        contexts,
        webhooks,
        max_active=settings.max_active_runs,
        max_queued=settings.max_queued_runs,
        max_active_per_tenant=settings.max_active_runs_per_tenant,
        quota=Quota(
            "max_runs_per_tenant",
            settings.max_runs_per_tenant,
            "runs that execute or wait",
            retry_after_s=2,
        ),
        max_crashes=settings.max_crashes,
    )


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]
"""A route's parameter of this type is the parts of the application that it belongs to."""


def _networks(settings: Settings) -> tuple[Network, ...]:
    """Parse the networks that may be fetched from. Raises `Invalid` (`invalid_settings`)."""
    try:
        return tuple(ipaddress.ip_network(network) for network in settings.allowed_networks)
    except ValueError as error:
        raise Invalid(
            f"allowed_networks: {error}.",
            code="invalid_settings",
            details={"field": "allowed_networks"},
        ) from error
