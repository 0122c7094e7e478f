"""`Models`: the one way to a model. Resolves a name, gets it loaded, lends it out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from config.errors import MotetError, NotFound, TimedOut, nearest
from config.settings import Settings
from models.backends import BACKENDS, build_driver
from models.catalog.file import ModelsFile, load_models
from models.catalog.resolved import ResolvedModel
from models.catalog.roles import BuildDriver, Drivers, Resolver
from models.catalog.spec import ModelSpec, Task
from models.devices import Devices
from models.devices.accelerator import Accelerator
from models.devices.machine import find_machine
from models.driver import DriverContext
from models.estimates_file import load_estimates, save_estimates
from models.events import Events
from models.executor import EffectExecutor
from models.lease import Lease, LeaseAttempt, LeaseListener
from models.leasing import WAIT_S, LeaseBroker, LeaseRequest
from models.pulls import Puller, Pulls
from models.pulls.hub import BACKENDS as HUB_BACKENDS
from models.pulls.hub import HubPuller
from models.pulls.targets import target_of
from models.report import ModelStatus, RoleStatus, discovered, role_task, statuses
from models.scheduling.ledger import DeviceBalance, Ledger
from models.scheduling.requirement import MemoryRequirement
from models.scheduling.scheduler import Scheduler
from models.scheduling.slot import PRESENT
from models.workers.prewarmed import PrewarmedWorkers

__all__ = ["Lease", "Models", "open_models"]

log = logging.getLogger(__name__)

NEEDS_FILE = "needs.json"
PULLS_FILE = "pulls.json"


class Models:
    """Every model of this installation. Get one from `open_models`."""

    def __init__(
        self, file: ModelsFile, settings: Settings, devices: Devices, build: BuildDriver
    ) -> None:
        self._file = file
        self._settings = settings
        self._devices = devices
        self._workers = PrewarmedWorkers(spare=settings.spare_worker)
        self._drivers = Drivers(build, self._context)
        ledger = Ledger(file.memory_cap_bytes)
        estimates = load_estimates(settings.home / NEEDS_FILE)
        self._scheduler = Scheduler(ledger, devices, asyncio.get_running_loop().time, estimates)
        self._resolver = Resolver(file, self._drivers, self._scheduler.current_refusal)
        self._events = Events(first=int(time.time() * 1000))
        save = partial(save_estimates, settings.home / NEEDS_FILE, estimates)
        self._runner = EffectExecutor(self._scheduler, self._drivers.get, self._events, save)
        self._lending = LeaseBroker(self._resolver, self._drivers, self._runner)
        self._preloads: set[asyncio.Task[None]] = set()
        self.pulls = Pulls(
            settings.home / PULLS_FILE,
            lambda name, backend: target_of(name, backend, self._file.models),
            self._puller,
            lambda job: self.tell("pull", model=job["name"], **job),
        )

    async def resolve(self, name: str, task: Task) -> ResolvedModel:
        """The model that `name` (a role, a model, or "<backend>/<source>") stands for now.

        Raises `NotFound` for an unknown name, `Invalid` ("task_unsupported") and `Unavailable`
        ("role_unavailable", `details["passed_over"]`).
        """
        return await self._resolver.resolve(name, task)

    async def why_not(self, name: str, task: Task) -> str | None:
        """Why a model could not be loaded now, for people; None when it could. Asks its back end,
        bounded. Raises as `resolve` does."""
        spec = (await self.resolve(name, task)).model
        return await self._drivers.get(spec.backend).available(spec)

    def lease(
        self,
        name: str,
        task: Task,
        *,
        tenant: str = "default",
        priority: int | None = None,
        wait_s: float | None = None,
        on_event: LeaseListener | None = None,
    ) -> contextlib.AbstractAsyncContextManager[Lease]:
        """The model, loaded, as long as the context lasts; it is not unloaded meanwhile.

        `on_event` is told of phases: "chosen" (with reason and passed_over), "queued", "loading",
        what the back end says while it loads, and "ready". A model of a role that cannot be
        loaded is passed over for the next. Raises as `resolve` does, what loading raised, `Busy`
        ("queue_full"), or `TimedOut` when `wait_s` (600) is over.
        """
        return self._lending.lease(LeaseRequest(name, task, tenant, priority, wait_s, on_event))

    def attempts(
        self,
        name: str,
        task: Task,
        *,
        tenant: str = "default",
        priority: int | None = None,
        wait_s: float | None = None,
        on_event: LeaseListener | None = None,
    ) -> AsyncIterator[LeaseAttempt]:
        """`lease` for work that may run out of memory, and may be done again from its start:

            async for attempt in models.attempts("image", "image"):
                async with attempt as lease:
                    picture = await lease.image.generate(...)

        When the block ends with the error "out_of_memory", idle models of that device are
        unloaded and the block runs once more, unless it called `attempt.keep()`; the second
        time, the error says what was done. Listeners hear of it as phase "out_of_memory".
        """
        return self._lending.attempts(LeaseRequest(name, task, tenant, priority, wait_s, on_event))

    async def load(
        self,
        name: str,
        *,
        task: Task | None = None,
        wait_s: float | None = None,
        on_event: LeaseListener | None = None,
    ) -> ModelStatus:
        """Have a role's or a model's model loaded, without using it; its keep-alive begins.

        `task` is needed only for "<backend>/<source>" with several. Raises as `lease` does.
        """
        task = task or self._task_of(name)
        async with self.lease(name, task, wait_s=wait_s, on_event=on_event) as lease:
            return next(each for each in self.status() if each.model.name == lease.model.name)

    async def unload(self, name: str, *, wait_s: float = WAIT_S) -> None:
        """Let a loaded model go as soon as nobody uses it; when this returns, it is gone.

        Work under way ends first; nobody new gets it, and who waits for it gets it loaded anew.
        Raises `NotFound` ("model_not_loaded") and `TimedOut` ("unload_timed_out"): it goes later.
        """
        slot = self._scheduler.slots.get(name)
        if slot is None or slot.state not in PRESENT:
            raise NotFound(
                f"'{name[:80]}' is not loaded.",
                code="model_not_loaded",
                details={"field": "model"},
            )
        self._runner.carry_out(self._scheduler.drain(name))
        try:
            async with asyncio.timeout(wait_s):
                await self._runner.gone(name)
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
        self._runner.carry_out(self._scheduler.set_pinned(name, pinned))

    def events(self, after: int | None = None) -> AsyncIterator[Mapping[str, Any]]:
        """What happens to models: {"seq", "time", "event", "model", ...}, from now on, or all
        after number `after` that is kept. Ends when the service does.

        Events: queued, loading, progress, ready, load_failed, unloading (with its reason),
        unloaded, preempted, crashed, refused, pinned, unpinned, out_of_memory, pressure, pull;
        "gap" stands for `count` events that a reader was too slow or too late for. Numbers
        grow over restarts too.
        """
        return self._events.follow(after)

    def end_events(self) -> None:
        """Let every reader of events end, so that their connections do not outlive the service."""
        self._events.close()

    def tell(self, event: str, **fields: Any) -> None:
        """Add an event, for what concerns models and is done elsewhere, such as pulls."""
        self._events.add(event, **fields)

    def status(self) -> list[ModelStatus]:
        """Every declared model and every other that is loaded or wanted, without asking anyone."""
        scheduler = self._scheduler
        return statuses(self._file, scheduler.slots, scheduler.is_pinned, scheduler.current_refusal)

    async def discover(self) -> list[ModelStatus]:
        """`status`, and what the back ends have by themselves; asks them, bounded."""
        return await discovered(self._file, self._drivers, self.status())

    async def roles(self) -> list[RoleStatus]:
        """What each role stands for now, and why; asks the back ends, bounded."""
        return list(await asyncio.gather(*(self._role(role) for role in self._file.roles)))

    def memory(self) -> list[DeviceBalance]:
        """The ledger: each device with what is reserved and free for models."""
        return self._scheduler.balances()

    @property
    def accelerators(self) -> Sequence[Accelerator]:
        """The GPUs of this machine, the largest first."""
        return self._devices.accelerators

    async def estimate(self, name: str) -> Sequence[MemoryRequirement]:
        """Where a model could run and what it would take there, the preferred place first.

        Raises as `resolve` does.
        """
        spec = (await self.resolve(name, self._task_of(name))).model
        driver = self._drivers.get(spec.backend)
        await driver.available(spec)
        return driver.estimate(spec)

    async def _role(self, role: str) -> RoleStatus:
        task, names = role_task(self._file, role), tuple(self._file.roles[role])
        try:
            return RoleStatus(role, task, names, await self.resolve(role, task), None)
        except MotetError as error:
            return RoleStatus(role, task, names, None, error)

    def _puller(self, backend: str) -> Puller | None:
        if backend in HUB_BACKENDS:
            return HubPuller()
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
        )

    def _available_bytes(self) -> Mapping[str, int]:
        return {name: each.available_bytes for name, each in self._devices.read().items()}

    @property
    def file(self) -> ModelsFile:
        """What models.yaml says, as it is in force."""
        return self._file

    def replace_file(self, file: ModelsFile) -> None:
        """From now on the models and roles are those of `file`.

        A loaded model whose entry has changed or is gone, or whose back end's has, serves the work
        under way; who asks next gets it loaded anew.
        """
        before, self._file = self._file, file
        self._resolver.replace(file)
        renewed = [
            each for each in BACKENDS if before.backends.get(each) != file.backends.get(each)
        ]
        for backend in renewed:
            self._drivers.renew(backend)
        self._runner.carry_out(self._scheduler.set_caps(file.memory_cap_bytes))
        for name, slot in list(self._scheduler.slots.items()):
            if spec := file.models.get(name):
                self._replace(spec)
            if slot.spec.backend in renewed or (name in before.models and not spec):
                self._runner.carry_out(self._scheduler.drain(name))
        changed = (spec for name, spec in file.models.items() if before.models.get(name) != spec)
        self._preload_all(changed)

    def _replace(self, spec: ModelSpec) -> None:
        try:
            needs = self._drivers.get(spec.backend).estimate(spec)
        except MotetError:  # its options are wrong, as who asks for it next will be told
            self._runner.carry_out(self._scheduler.drain(spec.name))
        else:
            self._runner.carry_out(self._scheduler.replace_spec(spec, needs))

    def preload(self) -> None:
        """Begin to load what models.yaml wants loaded from the start."""
        self._preload_all(self._file.models.values())

    def _preload_all(self, specs: Iterable[ModelSpec]) -> None:
        for spec in specs:
            if spec.preload:
                task = asyncio.create_task(self._preload(spec), name=f"preload {spec.name}")
                self._preloads.add(task)
                task.add_done_callback(self._preloads.discard)

    async def _preload(self, spec: ModelSpec) -> None:
        try:
            await self.load(spec.name, task=spec.task)
        except MotetError as error:
            log.warning("%s could not be loaded at the start: %s", spec.name, error.message)

    def _task_of(self, name: str) -> Task:
        if name in self._file.roles:
            return role_task(self._file, name)
        if name in self._file.models:
            return self._file.models[name].task
        backend, _, source = name.partition("/")
        driver = self._drivers.get(backend) if backend in BACKENDS and source else None
        tasks: tuple[Task, ...] = get_args(Task)
        return next((task for task in tasks if driver and driver.named(source, task)), "chat")

    async def close(self) -> None:
        for task in self._preloads:
            task.cancel()
        await self.pulls.close()
        await self._runner.close()
        self._events.close()
        await self._drivers.close()
        await self._workers.close()


@contextlib.asynccontextmanager
async def open_models(
    settings: Settings,
    *,
    devices: Devices | None = None,
    build: BuildDriver = build_driver,
) -> AsyncIterator[Models]:
    """The models of `settings`. Begins what is to be preloaded, and waits for nothing; on
    leaving, everything is unloaded.

    Raises `Invalid` when models.yaml is wrong.
    """
    models = Models(load_models(settings), settings, devices or await find_machine(), build)
    try:
        models.preload()
        yield models
    finally:
        await models.close()
