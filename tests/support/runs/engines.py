"""A store and checkpoints on a real file, and engines on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from langgraph.graph import StateGraph

from config.settings import Settings
from graphs.catalog import Catalog
from runs.checkpoints import Checkpoints, open_checkpoints
from runs.database import RunDatabase, open_run_database
from runs.deliveries import Deliveries
from runs.engine import RunEngine
from runs.record import Run
from runs.store import RunStore
from runs.threads import Threads
from runs.webhooks import Webhooks
from tests.support.runs.graphs import NodeGates, graphs
from tests.support.runs.reviewing import reviewing_graphs
from tests.support.tenants import TENANT
from tools.responses import PostAnswer


@dataclass
class Storage:
    """What runs are kept in."""

    path: Path
    database: RunDatabase
    store: RunStore
    checkpoints: Checkpoints


class EngineFactory:
    """Engines on one data folder, one after another, as processes would come and go."""

    def __init__(self, folder: Path, gates: NodeGates) -> None:
        self.folder = folder
        self.gates = gates
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.statuses: list[int] = []
        self.graphs: dict[str, Callable[[], StateGraph[Any]]] = {
            **graphs(gates),
            **reviewing_graphs(gates),
        }

    @asynccontextmanager
    async def engine(
        self, *, hold: bool = False, crash: bool = False, **limits: Any
    ) -> AsyncIterator[RunEngine]:
        """A started engine; on leaving it is closed as at a shutdown, without grace.

        With `crash` its process ends before an orderly end of its runs is on disk.
        """
        path = self.folder / "runs.db"
        settings = Settings(home=self.folder)
        # No shipped agents: building them would cost each engine a third of a second.
        catalog = Catalog(settings, graphs=self.graphs, shipped=self.folder / "shipped")
        async with open_run_database(path) as database, open_checkpoints(database, path) as saver:
            store = RunStore(database)
            webhooks = Webhooks(store, Deliveries(database), self._post, pauses_s=(0.0, 0.0))
            engine = RunEngine(
                store,
                saver,
                catalog,
                lambda run, claim_step: None,
                webhooks,
                **{"max_active": 8, "max_queued": 8, **limits},
                retry_pauses_s=(0.0,),
            )
            self.threads = Threads(store, saver, engine)
            self.database = database
            self.store = store
            self.webhooks = webhooks
            await engine.recover(hold=hold)
            try:
                yield engine
            finally:
                if crash:
                    database._writing.execute("PRAGMA query_only = ON")
                await engine.close(grace_s=0)
                await webhooks.close()

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        self.posted.append((url, orjson.loads(body)))
        return PostAnswer(self.statuses.pop(0) if self.statuses else 200)


async def read_events(engine: RunEngine, run_id: str, after: int = 0) -> list[dict[str, Any]]:
    """Every event of a run until it ends or waits."""

    async def read() -> list[dict[str, Any]]:
        batches = engine.follow(run_id, after, tenant=TENANT)
        return [event.as_dict() async for batch in batches for event in batch.events]

    return await asyncio.wait_for(read(), 240)


async def ended(engine: RunEngine, run_id: str) -> Run:
    return await asyncio.wait_for(engine.wait_ended(run_id, tenant=TENANT), 240)
