"""Loads from the start what models.yaml wants loaded, in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from config.errors import MotetError
from models.catalog.spec import ModelSpec

log = logging.getLogger(__name__)


class Preloads:
    """Runs a task for each model. `load` loads one and raises our families."""

    def __init__(self, load: Callable[[ModelSpec], Awaitable[object]]) -> None:
        self._load = load
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, specs: Iterable[ModelSpec]) -> None:
        """Begin to load those of the models that are to be preloaded; waits for nothing."""
        for spec in specs:
            if spec.preload:
                task = asyncio.create_task(self._preload(spec), name=f"preload {spec.name}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Give up what still waits for its model."""
        for task in self._tasks:
            task.cancel()

    async def _preload(self, spec: ModelSpec) -> None:
        try:
            await self._load(spec)
        except MotetError as error:
            log.warning("%s could not be loaded at the start: %s", spec.name, error.message)
