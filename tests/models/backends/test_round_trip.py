"""Meaning survives: what the painter draws from a prompt, the viewer names again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from benchmarks.roundtrip import told_again
from config.settings import load_settings
from models.manager import open_models
from recipes.shapes import scenes
from tests.support.tenants import TENANT
from tests.support.tiny.models import SMALL

SAMPLE = 24
BOUND_S = 200.0


@pytest.mark.skipif(not (SMALL / "captioner").is_dir(), reason="no captioner is there yet")
async def test_scenes_are_drawn_and_named_again(tmp_path: Path) -> None:
    sample = Random(5).sample(list(scenes()), SAMPLE)
    async with (
        asyncio.timeout(BOUND_S),
        open_models(load_settings(home=tmp_path)) as models,
        models.lease("drawing", "image", tenant=TENANT) as painter,
        models.lease("captioner", "caption", tenant=TENANT) as viewer,
    ):
        said = [
            await told_again(painter.image, viewer.caption, scene, seed)
            for seed, scene in enumerate(sample)
        ]
    right = sum(words == scene.prompt for words, scene in zip(said, sample, strict=True))
    assert right >= SAMPLE - 1
