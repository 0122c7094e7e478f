"""`Models`: the one way to a model. Resolves a name, gets it loaded, lends it out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from config.errors import MotetError, NotFound, TimedOut, Unavailable
from config.settings import Settings
from models.backends import build_driver
from models.capabilities import Caption, Embed, Image, Rerank, Speech, Transcribe
from models.devices import Devices
from models.devices.host import HostMemory
from models.drivers import DriverContext
from models.ledger import DeviceBalance, Ledger
from models.models_file import ModelsFile, load_models
from models.report import ModelStatus, RoleStatus, discovered, role_task, statuses
from models.roles import BuildDriver, Choice, Drivers, Resolver
from models.runner import Listener, Runner
from models.scheduler import Scheduler
from models.spec import ModelSpec, Task

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use a model until the `async with` ends. The accessor of its task works."""

    choice: Choice
    capability: object

    @property
    def model(self) -> ModelSpec:
        return self.choice.model

    @property
    def chat(self) -> BaseChatModel:
        return cast("BaseChatModel", self._of("chat"))

    @property
    def caption(self) -> Caption:
        return cast(Caption, self._of("caption"))

    @property
    def image(self) -> Image:
        return cast(Image, self._of("image"))

    @property
    def speech(self) -> Speech:
        return cast(Speech, self._of("speech"))

    @property
    def transcribe(self) -> Transcribe:
        return cast(Transcribe, self._of("transcribe"))

    @property
    def embed(self) -> Embed:
        return cast(Embed, self._of("embed"))

    @property
    def rerank(self) -> Rerank:
        return cast(Rerank, self._of("rerank"))

    def _of(self, task: Task) -> object:
        if self.model.task != task:
            raise TypeError(f"the lease of '{self.model.name}' is for {self.model.task}")
        return self.capability


class Models:
    """Every model of this installation. Get one from `open_models`."""

    def __init__(
        self, file: ModelsFile, settings: Settings, devices: Devices, build: BuildDriver
    ) -> None:
        self._file = file
        self._settings = settings
        self._devices = devices
        self._drivers = Drivers(build, self._context)
        ledger = Ledger(file.memory_cap_bytes)
        self._scheduler = Scheduler(ledger, devices, asyncio.get_running_loop().time)
        self._resolver = Resolver(file, self._drivers, self._scheduler.trouble)
        self._runner = Runner(self._scheduler, self._drivers.get)

    async def resolve(self, name: str, task: Task) -> Choice:
        """The model that `name` (a role, a model, or "<backend>/<source>") stands for now.

        Raises `NotFound` for an unknown name, `Invalid` ("wrong_task") and `Unavailable`
        ("no_model", `details["passed_over"]`).
        """
        return await self._resolver.resolve(name, task)

    @contextlib.asynccontextmanager
    async def lease(
        self,
        name: str,
        task: Task,
        *,
        tenant: str = "default",
        priority: int | None = None,
        wait_s: float | None = None,
        on_event: Listener | None = None,
    ) -> AsyncIterator[Lease]:
        """The model, loaded, as long as the context lasts; it is not unloaded meanwhile.

        `on_event` is told of phases: "chosen" (with reason and passed_over), "queued", "loading",
        what the back end says while it loads, and "ready". A model of a role that cannot be
        loaded is passed over for the next. Raises as `resolve` does, what loading raised, `Busy`
        ("queue_full"), or `TimedOut` when `wait_s` (600) is over.
        """
        async with contextlib.AsyncExitStack() as stack:
            bound_s = WAIT_S if wait_s is None else wait_s
            yield await self._take(stack, name, task, priority, bound_s, on_event)

    async def _take(
        self,
        stack: contextlib.AsyncExitStack,
        name: str,
        task: Task,
        priority: int | None,
        wait_s: float,
        listener: Listener | None,
    ) -> Lease:
        failed: dict[str, str] = {}
        last: MotetError | None = None
        tell: Listener = listener or (lambda event: None)
        while True:
            try:
                choice = await self._resolver.resolve(name, task, failed)
            except Unavailable as error:
                # Where a role has but one model, its own error says it best.
                if last and len(error.details.get("passed_over", ())) == 1:
                    raise last from error
                raise
            spec = choice.model
            tell({"phase": "chosen", **choice.as_dict()})
            rank = spec.priority if priority is None else priority
            try:
                loaded = await stack.enter_async_context(
                    self._runner.hold(spec, rank, wait_s, listener)
                )
            except (Unavailable, NotFound, TimedOut) as error:
                if choice.role is None or error.code in ("lease_timeout", "shutting_down"):
                    raise
                failed[spec.name], last = error.message, error
                continue
            tell({"phase": "ready", "model": spec.name})
            return Lease(choice, loaded.capability)

    async def unload(self, name: str) -> None:
        """Let a loaded model go as soon as nobody uses it. Raises `NotFound` when not loaded."""
        if name not in self._scheduler.slots:
            raise NotFound(f"'{name}' is not loaded.", code="model_not_loaded")
        self._runner.carry_out(self._scheduler.drain(name))

    def status(self) -> list[ModelStatus]:
        """Every declared model and every other that is loaded or wanted, without asking anyone."""
        return statuses(self._file, self._scheduler.slots)

    async def discover(self) -> list[ModelStatus]:
        """`status`, and what the back ends have by themselves; asks them, bounded."""
        return await discovered(self._file, self._drivers, self.status())

    async def roles(self) -> list[RoleStatus]:
        """What each role stands for now, and why; asks the back ends, bounded."""
        return list(await asyncio.gather(*(self._role(role) for role in self._file.roles)))

    def memory(self) -> list[DeviceBalance]:
        """The ledger: each device with what is reserved and free for models."""
        return self._scheduler.balances()

    async def _role(self, role: str) -> RoleStatus:
        task, names = role_task(self._file, role), tuple(self._file.roles[role])
        try:
            return RoleStatus(role, task, names, await self.resolve(role, task), None)
        except MotetError as error:
            return RoleStatus(role, task, names, None, error)

    def _context(self, backend: str) -> DriverContext:
        return DriverContext(
            self._settings,
            self._file.backends.get(backend, {}),
            self.lease,
            self._devices.accelerators,
        )

    async def close(self) -> None:
        await self._runner.close()
        await self._drivers.close()


@contextlib.asynccontextmanager
async def open_models(
    settings: Settings,
    *,
    devices: Devices | None = None,
    build: BuildDriver = build_driver,
) -> AsyncIterator[Models]:
    """The models of `settings`. Loads nothing yet; on leaving, everything is unloaded.

    Raises `Invalid` when models.yaml is wrong.
    """
    models = Models(load_models(settings), settings, devices or HostMemory(), build)
    try:
        yield models
    finally:
        await models.close()
