"""What a back end offers: it finds, estimates, loads and unloads models.

The executor decides when; each back end's package has the driver that does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from config.settings import Settings
from models.catalog.spec import ModelSpec, Task
from models.devices.accelerator import Accelerator
from models.lease import ModelSource
from models.scheduling.requirement import MemoryRequirement
from models.workers.prewarmed import PrewarmedWorkers

Progress = Callable[[Mapping[str, Any]], None]
"""Called during a load, e.g. with {"phase": "pulling", "completed": 3, "total": 10}."""


class Loaded(Protocol):
    """A model that is ready. The executor calls `unload` once, when no lease is left."""

    @property
    def capability(self) -> object:
        """The `Chat`, `Embed`, ... that a lease hands out; used by many callers at once."""
        ...

    @property
    def memory(self) -> Mapping[str, int] | None:
        """What it takes now, measured, by device as in `MemoryRequirement`; None when not known."""
        ...

    @property
    def lost(self) -> asyncio.Future[str] | None:
        """Completes with the reason when the model goes by itself (its worker died).

        None when nothing can be noticed. A model lost is not unloaded.
        """
        ...

    async def unload(self) -> None:
        """Give everything back. When this returns, the memory is free. Does not raise."""
        ...


@dataclass(frozen=True, slots=True)
class DriverContext:
    """Handed to a driver's constructor: `Driver(context)`."""

    settings: Settings
    options: Mapping[str, Any]
    """The back end's own entry under `backends:` in models.yaml."""
    models: ModelSource
    """For a back end that builds on another model (the reader embeds)."""
    accelerators: Sequence[Accelerator] = ()
    """The GPUs of this machine that torch or Ollama may use, the largest first."""
    available_bytes: Callable[[], Mapping[str, int]] = dict
    """What is free now by device, measured; "ram" among them. Empty: nothing can be read."""
    total_bytes: Callable[[], Mapping[str, int]] = dict
    """What there is of each device in all."""
    workers: PrewarmedWorkers = field(default_factory=lambda: PrewarmedWorkers(spare=False))
    """Starts the workers of models that import torch."""


class Driver(Protocol):
    """One back end. Constructing it does nothing; heavy imports belong in its methods."""

    async def available(self, spec: ModelSpec) -> str | None:
        """Say why `spec` could not be loaded now and what to do; None when it could.

        Bounded to about a second; may keep its answer for a few seconds. Does not raise.
        """
        ...

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        """List models of this task that no file declares, best first, "<backend>/<source>".

        Empty when the back end has none or does not look. Raises `Unavailable` when it cannot be
        reached. Bounded like `available`.
        """
        ...

    def named(self, source: str, task: Task) -> ModelSpec | None:
        """Make the spec of "<backend>/<source>", which no file declares; None: not possible."""
        ...

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        """Estimate where a model could run and what loading takes there, before it was measured.

        The preferred place first, at least one. Quick and without effects.
        """
        ...

    async def load(self, spec: ModelSpec, need: MemoryRequirement, progress: Progress) -> Loaded:
        """Load a model to `need.device`, one of what `estimate` returned.

        Raises our families; when it raises or is cancelled nothing is left behind. The executor
        bounds it, and never calls it twice at once for one spec.
        """
        ...

    async def close(self) -> None:
        """Close clients and probes; every loaded model was unloaded before."""
        ...
