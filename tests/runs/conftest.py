"""A store and checkpoints on a real file, and engines on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runs.checkpoints import open_checkpoints
from runs.database import open_run_database
from runs.engine import RunEngine
from runs.store import RunStore
from tests.support.runs.engines import EngineFactory, Storage
from tests.support.runs.graphs import NodeGates


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    path = tmp_path / "runs.db"
    async with open_run_database(path) as database, open_checkpoints(database, path) as checkpoints:
        store = RunStore(database)
        yield Storage(path, database, store, checkpoints)


@pytest.fixture
def gates() -> NodeGates:
    return NodeGates()


@pytest.fixture
def process(tmp_path: Path, gates: NodeGates) -> EngineFactory:
    return EngineFactory(tmp_path, gates)


@pytest.fixture
async def engine(process: EngineFactory) -> AsyncIterator[RunEngine]:
    async with process.engine() as engine:
        yield engine
