"""Tiny models of the transformers library for tests, and how they are loaded without a manager."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from config.settings import Settings, load_settings
from models.backends import build_driver
from models.catalog.spec import ModelSpec
from models.driver import Driver, DriverContext, Loaded
from models.lease import ModelSource
from models.manager import Models, open_models
from tests.support.forked_workers import ForkingWorkers

MAKE = Path(__file__).with_name("make_transformers.py")
TINY = MAKE.parent
ROOT = MAKE.parents[3]
SMALL = ROOT / "models" / "small"


def made(folder: Path, *names: str) -> Path:
    """The folder, with models of these names made in it."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-P", MAKE, folder, *names], check=True, capture_output=True, env=env
    )
    return folder


def spec(backend: str, task: str, source: Path | str, **options: Any) -> ModelSpec:
    """A model of models.yaml."""
    fields = {
        "name": "mine",
        "task": task,
        "backend": backend,
        "source": str(source),
        "options": {"threads": 1, "dtype": "float32", **options},
    }
    return ModelSpec.model_validate(fields)


@asynccontextmanager
async def opened(backend: str, home: Path) -> AsyncIterator[Driver]:
    """The driver of a back end."""
    workers = ForkingWorkers()
    context = DriverContext(load_settings(home=home), {}, cast(ModelSource, None), workers=workers)
    driver = build_driver(backend, context)
    try:
        yield driver
    finally:
        await driver.close()
        await workers.close()


@asynccontextmanager
async def opened_models(settings: Settings) -> AsyncIterator[Models]:
    """The models of these settings, whose workers are forked."""
    workers = ForkingWorkers()

    def build(backend: str, context: DriverContext) -> Driver:
        return build_driver(backend, replace(context, workers=workers))

    async with AsyncExitStack() as stack:
        stack.push_async_callback(workers.close)
        yield await stack.enter_async_context(open_models(settings, build=build))


@asynccontextmanager
async def loaded(driver: Driver, model: ModelSpec) -> AsyncIterator[Loaded]:
    """A model, loaded to the first place that its driver proposes."""
    found = await driver.load(model, driver.estimate(model)[-1], lambda news: None)
    try:
        yield found
    finally:
        await found.unload()
