"""The reranker, with tiny models of the real format in its real worker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid, Unavailable
from config.settings import load_settings
from models.capabilities import Rerank
from models.manager import Models, open_models
from tests.support.tenants import TENANT
from tests.support.tiny.models import TINY, opened_models

BOUND_S = 120.0
MAKE = TINY / "make_cross_encoder.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cross")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, MAKE, folder], check=True, capture_output=True, env=env)
    (folder / "empty").mkdir()
    (folder / "bare").mkdir()
    (folder / "bare" / "config.json").write_text('{"model_type": "bert"}')
    return folder


@pytest.fixture(scope="module")
async def models(folder: Path) -> AsyncIterator[Models]:
    names = ["labels1", "labels2", "labels3", "empty", "bare"]
    declared = {
        name: {
            "task": "rerank",
            "backend": "cross_encoder",
            "source": str(folder / name),
            "options": {"dtype": "float32", "threads": 2},
        }
        for name in names
    }
    declared["absent"] = {**declared["empty"], "source": "nobody/no-such-model"}
    declared["wrong"] = {**declared["labels1"], "options": {"dtyp": "float32"}}
    roles = {"rerank": ["empty", "bare", "labels1"], "none": ["wrong"]}
    (folder / "models.yaml").write_text(json.dumps({"models": declared, "roles": roles}))
    async with opened_models(load_settings(home=folder)) as models:
        yield models


@pytest.fixture
async def rerank(models: Models) -> AsyncIterator[Rerank]:
    async with models.lease("labels1", "rerank", tenant=TENANT) as lease:
        yield lease.rerank


def expected(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name / "expected.json").read_text())
    return found


@pytest.mark.parametrize("name", ["labels1", "labels2"])
async def test_scores_are_the_models_own_in_order(models: Models, folder: Path, name: str) -> None:
    said = expected(folder, name)
    async with models.lease(name, "rerank", tenant=TENANT) as lease:
        scores = await lease.rerank.rerank(said["query"], said["texts"])
    assert scores == pytest.approx(said["scores"], abs=1e-4)
    assert max(scores) - min(scores) > 0.05


async def test_a_role_passes_over_what_has_no_weights(models: Models) -> None:
    async with asyncio.timeout(BOUND_S), models.lease("rerank", "rerank", tenant=TENANT) as lease:
        assert lease.model.name == "labels1"
        assert [each.name for each in lease.choice.passed_over] == ["empty", "bare"]
        assert "no config.json" in lease.choice.passed_over[0].why
        assert "lacks" in lease.choice.passed_over[1].why


async def test_odd_texts_are_scored_too(rerank: Rerank) -> None:
    odd = ["", " ", "\0", "日本語", "\ud83d cut", "cat " * 20_000]
    scores = await rerank.rerank("", odd)
    assert len(scores) == len(odd)
    assert all(0 <= score <= 1 for score in scores)
    assert len(await rerank.rerank("cat " * 20_000, odd)) == len(odd)
    assert await rerank.rerank("cat", []) == []


async def test_absent_weights_are_told_with_how_to_get_them(models: Models) -> None:
    with pytest.raises(Unavailable) as caught:
        async with asyncio.timeout(BOUND_S), models.lease("absent", "rerank", tenant=TENANT):
            pass
    assert caught.value.code == "model_missing"
    assert "motet models pull absent" in caught.value.message


async def test_a_model_of_three_labels_is_refused(models: Models) -> None:
    with pytest.raises(Invalid, match="3 labels"):
        async with asyncio.timeout(BOUND_S), models.lease("labels3", "rerank", tenant=TENANT):
            pass


async def test_a_wrong_option_is_told(models: Models) -> None:
    with pytest.raises(Unavailable, match=r"options\.dtyp.*mean 'dtype'"):
        await models.resolve("none", "rerank")


async def test_an_embedder_does_not_rerank(models: Models) -> None:
    with pytest.raises(Invalid) as caught:
        await models.resolve("minilm", "rerank")
    assert caught.value.code == "task_unsupported"


async def test_no_reranker_is_shipped_and_that_is_said(tmp_path: Path) -> None:
    async with open_models(load_settings(home=tmp_path)) as shipped:
        with pytest.raises(Unavailable, match=r"names none for it"):
            await shipped.resolve("rerank", "rerank")


async def test_kill_9_is_not_noticed_and_a_cancelled_call_leaves_it_working(
    rerank: Rerank, folder: Path
) -> None:
    said = expected(folder, "labels1")
    os.kill(rerank._worker.worker.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    given_up = asyncio.create_task(rerank.rerank("cat", said["texts"] * 50))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up], timeout=BOUND_S)
    assert given_up.cancelled()
    async with asyncio.timeout(BOUND_S):
        scores = await rerank.rerank(said["query"], said["texts"])
    assert scores == pytest.approx(said["scores"], abs=1e-4)
