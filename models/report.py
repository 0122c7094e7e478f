"""The models and roles that there are, as plain values for people and programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from config.errors import MotetError
from models.backends import BACKENDS
from models.catalog.file import ModelsFile
from models.catalog.resolved import ResolvedModel
from models.catalog.roles import Resolver, role_task
from models.catalog.spec import ModelSpec, Task
from models.driver_cache import DriverCache
from models.scheduling.slot import PRESENT, Slot


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model. `state` is a `slot.State` value; `memory_bytes` is None until it was loaded.

    `waits_for`: the last notice to those who wait for a model that is not loaded yet.
    """

    model: ModelSpec
    state: str
    declared: bool
    pin: bool
    leases: int = 0
    waiting: int = 0
    device: str | None = None
    memory_bytes: int | None = None
    memory: dict[str, int] | None = None
    load_s: float | None = None
    waits_for: dict[str, Any] | None = None
    problem: str | None = None
    failures: int = 0
    """Loads that failed one after the other."""
    retry_in_s: float | None = None
    """Until then it is refused at once, because its last load failed."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.model.name,
            "task": self.model.task,
            "description": self.model.description,
            "backend": self.model.backend,
            "source": self.model.source,
            "keep_alive_s": self.model.keep_alive_s,
            **{name: getattr(self, name) for name in self.__slots__ if name != "model"},
        }


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """One role: its candidates, and the choice, or the error that says why there is none."""

    role: str
    task: Task
    candidates: tuple[str, ...]
    choice: ResolvedModel | None
    error: MotetError | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "task": self.task,
            "candidates": list(self.candidates),
            "choice": self.choice.as_dict() if self.choice else None,
            "error": self.error.as_dict() if self.error else None,
        }


def list_statuses(
    file: ModelsFile,
    slots: Mapping[str, Slot],
    pinned: Callable[[ModelSpec], bool],
    refusal: Callable[[str], MotetError | None],
) -> list[ModelStatus]:
    """List declared models in the file's order, then the others that have a slot."""
    others = [slot.spec for name, slot in slots.items() if name not in file.models]
    return [
        _status(
            spec,
            slots.get(spec.name),
            spec.name in file.models,
            pinned(spec),
            refusal(spec.name),
        )
        for spec in [*file.models.values(), *others]
    ]


def _status(
    spec: ModelSpec, slot: Slot | None, declared: bool, pin: bool, refusal: MotetError | None
) -> ModelStatus:
    if slot is None:
        return ModelStatus(spec, "absent", declared, pin)
    loaded = slot.load.ready_since_s > 0 and slot.state in PRESENT
    return ModelStatus(
        model=slot.spec,
        state=slot.state.value,
        declared=declared,
        pin=pin,
        leases=len(slot.load.leases),
        waiting=len(slot.queue.waiting),
        device=slot.load.need.device,
        memory_bytes=slot.load.need.memory_bytes if loaded else None,
        memory=dict(slot.load.need.memory) if loaded else None,
        load_s=round(slot.load_s, 3) if loaded else None,
        waits_for=dict(slot.queue.last_notice) if slot.queue.waiting and not loaded else None,
        problem=slot.backoff.error.public_message if slot.backoff.error else None,
        failures=slot.backoff.failures,
        retry_in_s=round(refusal.retry_after_s or 0.0, 1) if refusal else None,
    )


async def list_discovered(drivers: DriverCache, known: Sequence[ModelStatus]) -> list[ModelStatus]:
    """List `known`, and every model that a back end has without being declared."""
    names = {status.model.name for status in known}
    statuses = list(known)
    for backend in BACKENDS:
        for task in get_args(Task):
            try:
                specs = await (await drivers.open(backend)).discover(task)
            except MotetError:
                break  # it cannot be reached, for any task; `list_roles` says why
            new = [spec for spec in specs if spec.name not in names]
            names.update(spec.name for spec in new)
            statuses += [ModelStatus(spec, "absent", declared=False, pin=spec.pin) for spec in new]
    return statuses


async def list_roles(file: ModelsFile, resolver: Resolver) -> list[RoleStatus]:
    """Resolve every role; asks the back ends, all roles at once."""
    return list(await asyncio.gather(*(_role_status(file, resolver, role) for role in file.roles)))


async def _role_status(file: ModelsFile, resolver: Resolver, role: str) -> RoleStatus:
    task, names = role_task(file, role), tuple(file.roles[role])
    try:
        return RoleStatus(role, task, names, await resolver.resolve(role, task), None)
    except MotetError as error:
        return RoleStatus(role, task, names, None, error)
