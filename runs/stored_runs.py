"""Runs of a data folder that no server has: listed, shown and cancelled, and never executed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from config.errors import Unavailable
from graphs.run_context import ClaimStep
from runs import rejections
from runs.checkpoints import open_checkpoints
from runs.database import open_run_database
from runs.deliveries import Deliveries
from runs.executor import Executor
from runs.held import HeldRuns
from runs.record import Run, RunStatus
from runs.store import RunStore
from runs.webhooks import Webhooks
from tools.responses import PostAnswer


class StoredRuns:
    """What can be done about runs while nothing executes any."""

    def __init__(self, store: RunStore, executor: Executor) -> None:
        self._store = store
        self._executor = executor

    async def list(
        self, *, tenant: str, agent: str | None, status: RunStatus | None, limit: int
    ) -> list[Run]:
        """List the tenant's runs, newest first."""
        return await self._store.list_runs(tenant=tenant, agent=agent, status=status, limit=limit)

    def get(self, run_id: str, *, tenant: str) -> Run:
        """Return a run. Raises `NotFound` (`run_not_found`)."""
        run = self._store.find_run(run_id, tenant=tenant)
        if run is None:
            raise rejections.run_not_found(run_id)
        return run

    async def show(self, run_id: str, *, tenant: str) -> Run:
        """Return a run, whole. Raises as `get` does."""
        return await self._store.read_output(self.get(run_id, tenant=tenant))

    async def cancel(self, run_id: str, *, tenant: str) -> Run:
        """End a run that has not ended; its webhook is called by the next server.

        On disk when this returns. Raises `Conflict` (`run_ended`).
        """
        run = self.get(run_id, tenant=tenant)
        if run.ended:
            raise rejections.has_ended(run)
        await self._executor.cancel_inactive(run, "requested")
        return run


@asynccontextmanager
async def open_stored_runs(
    path: Path, durability: Literal["process", "power"]
) -> AsyncIterator[StoredRuns]:
    """Open the runs in the database at `path`, of a data folder whose lock the caller has."""
    async with (
        open_run_database(path, durability) as database,
        open_checkpoints(database, path) as checkpoints,
    ):
        store = RunStore(database)
        webhooks = Webhooks(store, Deliveries(database), _refuse_to_post)
        executor = Executor(store, checkpoints, _refuse_to_run, webhooks, HeldRuns(), 1)
        yield StoredRuns(store, executor)


def _refuse_to_run(run: Run, claim_step: ClaimStep) -> Any:
    raise Unavailable("Runs are executed by a server alone.", code="service_not_running")


async def _refuse_to_post(url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
    raise Unavailable("Webhooks are called by a server alone.", code="service_not_running")
