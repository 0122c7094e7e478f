"""A store and checkpoints on a real file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runs.checkpoints import Checkpoints, open_checkpoints
from runs.database import Database, open_database
from runs.store import RunStore


@dataclass
class Storage:
    """What runs are kept in."""

    path: Path
    database: Database
    store: RunStore
    checkpoints: Checkpoints


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    path = tmp_path / "runs.db"
    async with open_database(path) as database, open_checkpoints(database, path) as checkpoints:
        store = RunStore(database)
        await store.setup()
        yield Storage(path, database, store, checkpoints)
