"""The manager of a test: its models, its small machine, and all that happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import yaml

from config.settings import load_settings
from models.backends import build_driver
from models.driver import DriverContext
from models.lease import Lease
from models.manager import Models, open_models
from tests.support.scenarios.backend import Talking, TalkingDriver
from tests.support.scenarios.machine import MB, SmallMachine
from tests.support.tenants import TENANT

BACKEND = "transformers"  # whose name the back end of these scenarios takes
BOUND_S = 120.0


def mb(megabytes: int, **fields: Any) -> dict[str, Any]:
    """An entry of models.yaml; fields that it has not are options of its model."""
    known = {"keep_alive_s", "concurrency", "priority", "pin"}
    own = {name: value for name, value in fields.items() if name in known}
    options = {name: value for name, value in fields.items() if name not in known}
    options["megabytes"] = megabytes
    return {"task": "chat", "backend": BACKEND, **own, "options": options}


def talking(lease: Lease) -> Talking:
    return cast(Talking, lease.capability)


class Stage:
    """What a test does with the manager, and what it is told of it."""

    def __init__(self, models: Models, machine: SmallMachine) -> None:
        self.models = models
        self.machine = machine
        self._more = asyncio.Event()

    @property
    def driver(self) -> TalkingDriver:
        return cast(TalkingDriver, self.models._drivers.get(BACKEND))

    @property
    def events(self) -> list[Mapping[str, Any]]:
        """All that the manager told, in order, up to this moment."""
        return list(self.models._events._ring)

    async def follow(self) -> None:
        async for _ in self.models.follow_events(after=0):
            self._more.set()

    async def until(
        self,
        event: str,
        model: str | None = None,
        *,
        times: int = 1,
        bound_s: float | None = BOUND_S,
    ) -> Mapping[str, Any]:
        """Wait until that has happened so often, and return the last."""
        async with asyncio.timeout(bound_s):
            while len(found := self.those(event, model)) < times:
                self._more.clear()
                await self._more.wait()
        return found[times - 1]

    def those(self, event: str, model: str | None = None) -> list[Mapping[str, Any]]:
        return [
            each
            for each in self.events
            if each["event"] == event and model in (None, each.get("model"))
        ]

    def order(self, *kinds: str) -> list[str]:
        """What happened, of these kinds: ["loading a", "ready a"]."""
        return [f"{e['event']} {e.get('model')}" for e in self.events if e["event"] in kinds]

    async def say(self, name: str, *words: str) -> list[str]:
        """Lease a model and have it say something."""
        async with self.models.lease(name, "chat", wait_s=BOUND_S, tenant=TENANT) as lease:
            return [word async for word in talking(lease).say(*words)]

    def state(self, name: str) -> str:
        return str(next(s.state for s in self.models.status() if s.model.name == name))

    @property
    def reserved_mb(self) -> int:
        return self.models.memory()[0].reserved_bytes // MB

    @property
    def taken_mb(self) -> int:
        """Really, by all workers and hogs."""
        return self.machine.taken_bytes // MB


@asynccontextmanager
async def open_stage(
    home: Path,
    models: Mapping[str, Any],
    *,
    total_mb: int = 500,
    roles: Mapping[str, list[str]] | None = None,
    ollama_url: str | None = None,
) -> AsyncIterator[Stage]:
    """The models of a file on a small machine; each of `mb` is a process of its own."""
    file = {"models": dict(models), "roles": dict(roles or {})}
    (home / "models.yaml").write_text(yaml.safe_dump(file))
    machine = SmallMachine(total_mb)
    other: dict[str, Any] = {"ollama_url": ollama_url} if ollama_url else {}
    settings = load_settings(home=home, spare_worker=False, **other)

    def build(backend: str, context: DriverContext) -> Any:
        if backend == BACKEND:
            return TalkingDriver(context, machine)
        return build_driver(backend, context)

    async with open_models(settings, devices=machine, build=build) as opened:
        stage = Stage(opened, machine)
        following = asyncio.create_task(stage.follow(), name="stage: events")
        yield stage
    await asyncio.wait_for(following, BOUND_S)
    assert machine.taken_bytes == 0, "memory was not given back"
