"""One set of indexes for all tests: starting a txtai worker takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.settings import load_settings
from indexes.service import Indexes, open_indexes
from indexes.spec import IndexSpec
from tests.support.indexes import HashingEmbedder, Models
from tests.support.tenants import TENANT


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def models() -> Models:
    return Models()


@pytest.fixture(scope="session")
async def shared(data_folder: Path, models: Models) -> AsyncIterator[Indexes]:
    async with open_indexes(load_settings(home=data_folder), models, tenant=TENANT) as opened:
        yield opened
    assert models.leased == 0


@pytest.fixture
def embedder(models: Models) -> HashingEmbedder:
    """The embedder, as if it had never been used."""
    models.embedder = HashingEmbedder()
    return models.embedder


@pytest.fixture
async def indexes(shared: Indexes, embedder: HashingEmbedder) -> AsyncIterator[Indexes]:
    """The shared indexes with an empty index `notes`, which is deleted afterwards."""
    await shared.create(IndexSpec(name="notes"), tenant=TENANT)
    yield shared
    await shared.delete("notes", tenant=TENANT)
