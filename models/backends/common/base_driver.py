"""What drivers share that find no models by themselves and own no connection.

Owns the checks before a load: libraries, options, task. What a model takes and how it is loaded is
each back end's own. Models that run in worker processes are in `worker_model`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from typing import ClassVar

from config.errors import Invalid, MotetError
from models.availability import Reason
from models.backends.common.sources import allows_pickles, is_hub_name
from models.catalog.spec import ModelSpec, Task
from models.devices import RAM
from models.devices.accelerator import Accelerator
from models.driver import DriverContext
from models.scheduling.placement import list_placements
from models.scheduling.requirement import MemoryRequirement

LOAD_TIMEOUT_S = 590.0
"""Loading large weights may take so long; the manager's own bound is 600 s."""
ABOUT_TIMEOUT_S = 60.0
"""A worker that has loaded its model describes it at once, unless the machine swaps."""
PYPI_NAMES = {"PIL": "pillow", "espeakng_loader": "espeakng-loader"}
"""Names to install by, where they are not those of the modules."""


class BaseDriver:
    """Base of a `Driver`. A subclass gives `find_problem`, `estimate` and `load`."""

    backend: ClassVar[str]
    tasks: ClassVar[Sequence[Task]] = ()
    """What its models may be declared for; empty where `find_problem` knows."""
    packages: ClassVar[Sequence[str]] = ()
    """The modules that its worker imports."""
    how_to_install: ClassVar[str] = "pip install"
    named_tasks: ClassVar[Collection[str]] = ()
    """Tasks for which "<backend>/<source>" is a model although no file declares it."""
    looks_at_files: ClassVar[bool] = False
    """Whether `find_problem` looks at what a folder holds."""

    def __init__(self, context: DriverContext) -> None:
        self._context = context
        self.allow_pickles = allows_pickles(context.options)
        self._installed: set[str] = set()

    async def available(self, spec: ModelSpec) -> str | None:
        """Tell why `spec` cannot be loaded now; None when it can."""
        if absent := await self._find_absent():
            return f"not installed: {', '.join(absent)} ({self.how_to_install})"
        try:
            if self.looks_at_files:
                return await asyncio.to_thread(self.find_problem, spec)
            return self.find_problem(spec)
        except MotetError as error:
            return Reason.of(error)

    async def _find_absent(self) -> list[str]:
        """Return the packages that are not installed; those found once are not sought again."""
        sought = [name for name in self.packages if name not in self._installed]
        if not sought:
            return []
        # Each looks through many folders.
        present = await asyncio.to_thread(lambda: [name for name in sought if find_spec(name)])
        self._installed.update(present)
        return [PYPI_NAMES.get(name, name) for name in sought if name not in self._installed]

    def find_problem(self, spec: ModelSpec) -> str | None:
        """Tell, beyond missing libraries, why `spec` cannot be loaded, and what to do.

        Blocks where it looks at files. Raises `Invalid` for a wrong task or wrong options,
        whose message is the reason too.
        """
        raise NotImplementedError

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        """Find nothing: such models are declared, or named by their source."""
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        """Make the spec of "<backend>/<source>" for the tasks that can be so named.

        None for a folder, without looking whether it is there: names come from whoever may ask.
        """
        if task not in self.named_tasks or not self.is_public_name(source):
            return None
        name = f"{self.backend}/{source}"
        return ModelSpec(name=name, task=task, backend=self.backend, source=source)

    def is_public_name(self, source: str) -> bool:
        """Tell whether a source names a published model, by its form alone."""
        return is_hub_name(source)

    async def close(self) -> None:
        """Do nothing: there is neither client nor probe to give back."""


def check_task(spec: ModelSpec, tasks: Sequence[str]) -> None:
    """Raise `Invalid` (`task_unsupported`) for a model declared with a task the back end lacks."""
    if spec.task not in tasks:
        raise Invalid(
            f"{spec.name}: this back end is for {', '.join(tasks)}, not for {spec.task}.",
            code="task_unsupported",
            details={"field": "task"},
        )


def estimate_in_ram(spec: ModelSpec, default_bytes: int) -> list[MemoryRequirement]:
    """Estimate a model that only runs on the CPU; a declared `memory_bytes` is believed."""
    needed_bytes = default_bytes if spec.memory_bytes is None else spec.memory_bytes
    return [MemoryRequirement({RAM: needed_bytes})]


def estimate_by_weights(
    spec: ModelSpec, accelerators: Sequence[Accelerator], weights_bytes: int, libraries_bytes: int
) -> list[MemoryRequirement]:
    """Estimate a model that takes its weights and its libraries, the same on every device."""
    total_bytes = spec.memory_bytes or weights_bytes + libraries_bytes
    return list_placements(
        spec,
        accelerators,
        device_bytes=total_bytes,
        host_bytes=libraries_bytes,
        cpu_bytes=total_bytes,
    )
