"""`Models`: the one way to a model. Resolves a name, gets it loaded, leases it.

Owns the parts: catalog and resolver, drivers, scheduler with its executor, pulls, events. They do
the work; here they are wired, asked and closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from config.errors import NotFound, TimedOut, nearest
from config.file_writer import FileWriter
from config.settings import Settings
from models.backends import build_driver
from models.backends.common.sources import allows_pickles
from models.catalog.file import ModelsFile, load_models
from models.catalog.names import find_name_problem, list_voices
from models.catalog.resolved import ResolvedModel
from models.catalog.roles import Resolver, task_of
from models.catalog.spec import Task
from models.catalog_update import apply_update
from models.devices import Devices
from models.devices.accelerator import Accelerator
from models.devices.machine import find_machine
from models.driver import DriverContext
from models.driver_cache import BuildDriver, DriverCache
from models.estimates_file import load_estimates, save_estimates
from models.events import Events
from models.executor import EffectExecutor
from models.lease import NO_TENANT, Lease, LeaseAttempt, LeaseListener
from models.leasing import WAIT_S, LeaseBroker, LeaseRequest
from models.preloading import Preloads
from models.pulls import Puller, Pulls
from models.pulls.hub import BACKENDS as HUB_BACKENDS
from models.pulls.hub import HubPuller
from models.pulls.targets import target_of
from models.report import ModelStatus, RoleStatus, list_discovered, list_roles, list_statuses
from models.scheduling.ledger import DeviceBalance, Ledger
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.scheduler import Scheduler
from models.scheduling.slot import PRESENT
from models.workers.prewarmed import PrewarmedWorkers

__all__ = ["Lease", "Models", "open_models"]

NEEDS_FILE = "needs.json"
"""In the data folder: what models were measured to take."""
PULLS_FILE = "pulls.json"


class Models:
    """Every model of this installation. Get one from `open_models`, which closes it."""

    def __init__(
        self, file: ModelsFile, settings: Settings, devices: Devices, build: BuildDriver
    ) -> None:
        self._file = file
        self._settings = settings
        self._devices = devices
        self._workers = PrewarmedWorkers(spare=settings.spare_worker)
        self._drivers = DriverCache(build, self._context)
        self._events = Events(first=int(time.time() * 1000))
        estimates = load_estimates(settings.home / NEEDS_FILE)
        self._needs_writer = FileWriter(settings.home / NEEDS_FILE)
        self._scheduler = Scheduler(
            Ledger(file.memory_cap_bytes), devices, asyncio.get_running_loop().time, estimates
        )
        self._executor = EffectExecutor(
            self._scheduler,
            self._drivers.get,
            self._events,
            partial(save_estimates, self._needs_writer, estimates),
        )
        self._resolver = Resolver(file, self._drivers, self._scheduler.current_refusal)
        self._broker = LeaseBroker(self._resolver, self._drivers, self._executor)
        self._preloads = Preloads(
            lambda spec: self.load(spec.name, tenant=NO_TENANT, task=spec.task)
        )
        self.pulls = Pulls(
            settings.home / PULLS_FILE,
            lambda name, backend: target_of(name, backend, self._file.models),
            self._puller,
            lambda job: self._events.add("pull", model=job["name"], **job),
        )

    # Leases -------------------------------------------------------------------------------------

    async def resolve(self, name: str, task: Task) -> ResolvedModel:
        """Find the model that `name` (a role, a model, or "<backend>/<source>") stands for now.

        Raises `NotFound` for an unknown name, `Invalid` (`task_unsupported`) and `Unavailable`
        (`role_unavailable`, with `details["passed_over"]`).
        """
        return await self._resolver.resolve(name, task)

    def find_name_problem(self, name: str, task: Task) -> str | None:
        """Say why a name can never be taken for a task; None where it can. Asks no back end."""
        return find_name_problem(self._file, self._drivers, name, task)

    def list_voices(self, name: str) -> list[str] | None:
        """List the voices that a model or role may be asked for; None where that is not known."""
        return list_voices(self._file, name)

    async def unavailable_reason(self, name: str, task: Task) -> str | None:
        """Say why a model could not be loaded now, for people; None when it could.

        Asks its back end, for about a second at most. Raises as `resolve` does.
        """
        spec = (await self.resolve(name, task)).model
        return await (await self._drivers.open(spec.backend)).available(spec)

    def lease(
        self,
        name: str,
        task: Task,
        *,
        tenant: str,
        priority: int | None = None,
        wait_s: float | None = None,
        on_event: LeaseListener | None = None,
    ) -> contextlib.AbstractAsyncContextManager[Lease]:
        """Lease a model, loaded, as long as the context lasts; it is not unloaded meanwhile.

        `on_event` is called with phases: "chosen" (with reason and passed_over), "queued",
        "loading", what the back end says while it loads, and "ready". A model of a role that
        cannot be loaded is passed over for the next. Raises as `resolve` does, what loading
        raised, `Busy` (`queue_full`), or `TimedOut` (`lease_timed_out`) after `wait_s` (600).
        """
        return self._broker.lease(LeaseRequest(name, task, tenant, priority, wait_s, on_event))

    def attempts(
        self,
        name: str,
        task: Task,
        *,
        tenant: str,
        priority: int | None = None,
        wait_s: float | None = None,
        on_event: LeaseListener | None = None,
    ) -> AsyncIterator[LeaseAttempt]:
        """Lease a model for work that may run out of memory, and may be done from its start again:

            async for attempt in models.attempts("image", "image"):
                async with attempt as lease:
                    picture = await lease.image.generate(...)

        When the block ends with the error "out_of_memory", idle models of that device are
        unloaded and the block runs once more, unless it called `attempt.keep()`; the second
        time, the error says what was done. Listeners hear of it as phase "out_of_memory". A
        block whose model died, by the codes of `lease.MODEL_LOST`, runs once more too.
        """
        return self._broker.attempts(LeaseRequest(name, task, tenant, priority, wait_s, on_event))

    async def load(
        self,
        name: str,
        *,
        tenant: str,
        task: Task | None = None,
        wait_s: float | None = None,
        on_event: LeaseListener | None = None,
    ) -> ModelStatus:
        """Load the model of a role or a name without using it; its keep-alive begins.

        `task` is needed only for "<backend>/<source>" with several. Raises as `lease` does.
        """
        task = task or task_of(name, self._file, self._drivers)
        async with self.lease(name, task, tenant=tenant, wait_s=wait_s, on_event=on_event) as lease:
            return next(each for each in self.status() if each.model.name == lease.model.name)

    async def unload(self, name: str, *, wait_s: float = WAIT_S) -> None:
        """Unload a model as soon as nobody uses it; when this returns, its memory is free.

        Work under way ends first; nobody new gets it, and who waits for it gets it loaded anew.
        Raises `NotFound` (`model_not_loaded`) and `TimedOut` (`unload_timed_out`): the model is
        unloaded later then.
        """
        slot = self._scheduler.slots.get(name)
        if slot is None or slot.state not in PRESENT:
            raise NotFound(
                f"'{name[:80]}' is not loaded.",
                code="model_not_loaded",
                details={"field": "model"},
            )
        self._executor.carry_out(self._scheduler.drain(name))
        try:
            async with asyncio.timeout(wait_s):
                await self._executor.wait_unloaded(name)
        except TimeoutError as error:
            message = f"'{name}' is still in use after {wait_s:g} s; it goes when that ends."
            raise TimedOut(message, code="unload_timed_out") from error

    def pin(self, name: str, pinned: bool = True) -> None:
        """Keep a model once it is loaded, or no longer, until the service ends.

        It is not loaded by this. Raises `NotFound`.
        """
        if name not in self._file.models and name not in self._scheduler.slots:
            hint = nearest(name, list(self._file.models))
            raise NotFound(
                f"There is no model '{name[:80]}'. {hint}",
                code="model_not_found",
                details={"field": "model"},
            )
        self._executor.carry_out(self._scheduler.set_pinned(name, pinned))

    # What there is ------------------------------------------------------------------------------

    def follow_events(self, after: int | None = None) -> AsyncIterator[Mapping[str, Any]]:
        """Follow what happens to models: {"seq", "time", "event", "model", ...}.

        From now on, or all after number `after` that is kept. Ends when the service does.
        Events: queued, loading, progress, ready, load_failed, load_interrupted, unloading (with
        its reason), unloaded, preempted, crashed, refused, pinned, unpinned, out_of_memory,
        pressure, pull; "gap" stands for `count` events that a reader was too slow or too late for.
        Numbers grow over restarts too.
        """
        return self._events.follow(after)

    def end_events(self) -> None:
        """End every reader of events, so that their connections do not outlive the service."""
        self._events.close()

    def status(self) -> list[ModelStatus]:
        """List every declared model and every other that has a slot; asks no back end."""
        scheduler = self._scheduler
        return list_statuses(
            self._file, scheduler.slots, scheduler.is_pinned, scheduler.current_refusal
        )

    async def discover(self) -> list[ModelStatus]:
        """List `status`, and what the back ends have by themselves; asks them, bounded."""
        return await list_discovered(self._drivers, self.status())

    async def roles(self) -> list[RoleStatus]:
        """Resolve every role, and say why it stands for what it does; asks the back ends."""
        return await list_roles(self._file, self._resolver)

    def memory(self) -> list[DeviceBalance]:
        """Return what is reserved and free for models on each device."""
        return self._scheduler.balances()

    @property
    def accelerators(self) -> Sequence[Accelerator]:
        """The GPUs of this machine, the largest first."""
        return self._devices.accelerators

    async def estimate(self, name: str) -> Sequence[MemoryRequirement]:
        """Estimate where a model could run and what it takes there, the preferred place first.

        Raises as `resolve` does.
        """
        spec = (await self.resolve(name, task_of(name, self._file, self._drivers))).model
        driver = await self._drivers.open(spec.backend)
        await driver.available(spec)
        return driver.estimate(spec)

    # The file, and the end ------------------------------------------------------------------------

    @property
    def file(self) -> ModelsFile:
        """What models.yaml says, as it is in force."""
        return self._file

    @property
    def drivers(self) -> DriverCache:
        """The back ends, for who asks them about models that nobody leases."""
        return self._drivers

    def replace_file(self, file: ModelsFile) -> None:
        """Use the models and roles of `file` from now on, and preload what is new in it."""
        before, self._file = self._file, file
        self._resolver.replace(file)
        apply_update(before, file, self._drivers, self._executor)
        changed = (spec for name, spec in file.models.items() if before.models.get(name) != spec)
        self._preloads.begin(changed)

    def preload(self) -> None:
        """Begin to load what models.yaml wants loaded from the start."""
        self._preloads.begin(self._file.models.values())

    async def close(self) -> None:
        """Unload everything and end all parts.

        In this order: nobody may ask for a model any more when the executor unloads them, and a
        driver outlives what it has loaded.
        """
        self._preloads.cancel()
        await self.pulls.close()
        await self._executor.close()
        await self._needs_writer.close()
        self._events.close()
        await self._drivers.close()
        await self._workers.close()

    # Inside ---------------------------------------------------------------------------------------

    def _puller(self, backend: str) -> Puller | None:
        if backend in HUB_BACKENDS:
            return HubPuller(allow_pickles=allows_pickles(self._file.backends.get(backend, {})))
        driver = self._drivers.get(backend)
        return driver if isinstance(driver, Puller) else None

    def _context(self, backend: str) -> DriverContext:
        return DriverContext(
            self._settings,
            self._file.backends.get(backend, {}),
            self,
            accelerators=self._devices.accelerators,
            workers=self._workers,
            available_bytes=self._available_bytes,
            total_bytes=self._total_bytes,
        )

    def _available_bytes(self) -> Mapping[str, int]:
        return {name: each.available_bytes for name, each in self._devices.read().items()}

    def _total_bytes(self) -> Mapping[str, int]:
        return {name: each.total_bytes for name, each in self._devices.read().items()}


@contextlib.asynccontextmanager
async def open_models(
    settings: Settings,
    *,
    devices: Devices | None = None,
    build: BuildDriver = build_driver,
) -> AsyncIterator[Models]:
    """Open the models of `settings`, and begin to load what is to be preloaded.

    Waits for no model; on leaving, everything is unloaded. Raises `Invalid` when models.yaml is
    wrong.
    """
    models = Models(load_models(settings), settings, devices or await find_machine(), build)
    try:
        models.preload()
        yield models
    finally:
        await models.close()
