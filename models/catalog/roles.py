"""From a name to a model: a role stands for the first of its list that is available.

Asks the back ends each time, through their drivers, which keep their answers for seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import get_args

from config.errors import Invalid, MotetError, NotFound, Unavailable, nearest
from models.availability import RETRY_AFTER_S, PassedOver, Reason, classify
from models.backends import BACKENDS
from models.catalog.file import ModelsFile
from models.catalog.resolved import ResolvedModel
from models.catalog.spec import ModelSpec, Task
from models.driver_cache import DriverCache

ROLE_TASKS: dict[str, Task] = {
    "chat": "chat",
    "vision": "caption",
    "image": "image",
    "voice": "speech",
    "transcribe": "transcribe",
    "embed": "embed",
    "rerank": "rerank",
}
TASK_PHRASES: dict[Task, str] = {
    "chat": "chat",
    "caption": "describing pictures",
    "image": "making pictures",
    "speech": "speaking",
    "transcribe": "transcribing speech",
    "embed": "embedding",
    "rerank": "reranking",
}
assert set(TASK_PHRASES) == set(get_args(Task))


class Resolver:
    """Resolves names against `models.yaml` and what the back ends have now.

    `refusal` says why the scheduler would refuse a model now; None when it would not.
    """

    def __init__(
        self,
        file: ModelsFile,
        drivers: DriverCache,
        refusal: Callable[[str], MotetError | None],
    ) -> None:
        self._file = file
        self._drivers = drivers
        self._refusal = refusal

    def replace(self, file: ModelsFile) -> None:
        """Resolve against another file from now on."""
        self._file = file

    async def resolve(
        self, name: str, task: Task, without: Mapping[str, str] | None = None
    ) -> ResolvedModel:
        """Find the model for a role, a model's name or "<backend>/<source>".

        `without` names models not to take, with the reason. Raises `NotFound` for an unknown
        name, `Invalid` when the model is for another task, `Unavailable` ("role_unavailable") when
        nothing of a role can be had.
        """
        if name in self._file.roles:
            return await self._from_role(name, task, without or {})
        if spec := self._by_name(name, task):
            if spec.task != task:
                raise Invalid(f"'{name}' {_other_task(spec, task)}", code="task_unsupported")
            return ResolvedModel(spec, None, "asked for by name")
        hint = nearest(name, [*self._file.roles, *self._file.models])
        if name.partition("/")[0] in BACKENDS:
            hint += " A folder is a model where models.yaml declares it, as the `source` of a name."
        raise NotFound(
            f"There is no model or role '{name[:80]}'. {hint}",
            code="model_not_found",
            details={"field": "model", "model": name[:80]},
        )

    async def _from_role(self, role: str, task: Task, without: Mapping[str, str]) -> ResolvedModel:
        passed_over: list[PassedOver] = []
        for entry in self._file.roles[role]:
            async for spec, why in self._candidates(entry, task):
                if spec is None:
                    passed_over.append(why or PassedOver(entry, "not available", "absent"))
                    continue
                if spec.name != entry and spec.name in self._file.roles[role]:
                    continue  # the list has a place of its own for it
                if not (reason := await self._unavailable_reason(spec, task, without)):
                    return ResolvedModel(
                        spec, role, _reason(role, entry, spec, passed_over), tuple(passed_over)
                    )
                passed_over.append(PassedOver(spec.name, reason, classify(reason, known=True)))
        raise _role_unavailable(role, passed_over)

    async def _unavailable_reason(
        self, spec: ModelSpec, task: Task, without: Mapping[str, str]
    ) -> str | None:
        if spec.task != task:
            return _other_task(spec, task)
        if why := without.get(spec.name):
            return why
        if error := self._refusal(spec.name):
            return Reason.of(error)
        return await (await self._drivers.open(spec.backend)).available(spec)

    async def _candidates(
        self, entry: str, task: Task
    ) -> AsyncIterator[tuple[ModelSpec | None, PassedOver | None]]:
        """Yield the models an entry of a role stands for, or why there are none."""
        backend, _, source = entry.partition("/")
        if source != "*":
            yield self._by_name(entry, task), None
            return
        count = 0
        for spec in self._file.models.values():
            if spec.backend == backend and spec.task == task:
                count += 1
                yield spec, None
        try:
            for spec in await (await self._drivers.open(backend)).discover(task):
                count += 1
                yield spec, None
        except MotetError as error:
            why = Reason.of(error)
            known = bool(error.details.get("installed"))
            yield None, PassedOver(entry, why, classify(why, known=known))
            return
        if not count:
            none = f"it has no model for {TASK_PHRASES[task]}, and models.yaml declares none"
            yield None, PassedOver(entry, none, "absent")

    def _by_name(self, name: str, task: Task) -> ModelSpec | None:
        if name in self._file.models:
            return self._file.models[name]
        backend, _, source = name.partition("/")
        if backend in BACKENDS and source:
            return self._drivers.get(backend).named(source, task)
        return None


def _other_task(spec: ModelSpec, task: Task) -> str:
    return f"is for {TASK_PHRASES[spec.task]}, not for {TASK_PHRASES[task]}."


def _role_unavailable(role: str, passed_over: Sequence[PassedOver]) -> Unavailable:
    reasons = (
        " ".join(f"{each.name}: {each.why.rstrip('.')}." for each in passed_over)
        or "models.yaml names none for it."
    )
    starts = any(each.state == "starting" for each in passed_over)
    return Unavailable(
        f"Role '{role}' has no model that is available. {reasons} "
        "`motet models profile` proposes models for this machine.",
        code="role_unavailable",
        details={"role": role, "passed_over": [each.as_dict() for each in passed_over]},
        retry_after_s=RETRY_AFTER_S if starts else None,
    )


def _reason(role: str, entry: str, spec: ModelSpec, passed: Sequence[PassedOver]) -> str:
    what = f"first available of role '{role}'" if passed else f"first of role '{role}'"
    return what if entry == spec.name else f"{what}, found by {entry}"


def role_task(file: ModelsFile, role: str) -> Task:
    """Return a usual role's task, else that of its first declared model, else chat."""
    if role in ROLE_TASKS:
        return ROLE_TASKS[role]
    declared = (file.models[name].task for name in file.roles[role] if name in file.models)
    return next(declared, "chat")


def task_of(name: str, file: ModelsFile, drivers: DriverCache) -> Task:
    """Return the task of a role or a model; of "<backend>/<source>", the first that it can do."""
    if name in file.roles:
        return role_task(file, name)
    if name in file.models:
        return file.models[name].task
    backend, _, source = name.partition("/")
    driver = drivers.get(backend) if backend in BACKENDS and source else None
    tasks: tuple[Task, ...] = get_args(Task)
    return next((task for task in tasks if driver and driver.named(source, task)), "chat")
