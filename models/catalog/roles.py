"""From a name to a model: roles fall through a list to the first that is available."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import get_args

from config.errors import Invalid, MotetError, NotFound, Unavailable, nearest
from models.backends import BACKENDS
from models.catalog.file import ModelsFile
from models.catalog.resolved import ResolvedModel
from models.catalog.spec import ModelSpec, Task
from models.driver import Driver, DriverContext

BuildDriver = Callable[[str, DriverContext], Driver]

ROLE_TASKS: dict[str, Task] = {
    "chat": "chat",
    "vision": "caption",
    "image": "image",
    "voice": "speech",
    "transcribe": "transcribe",
    "embed": "embed",
    "rerank": "rerank",
}
WHAT: dict[Task, str] = {
    "chat": "chat",
    "caption": "describing pictures",
    "image": "making pictures",
    "speech": "speaking",
    "transcribe": "transcribing speech",
    "embed": "embedding",
    "rerank": "reranking",
}
assert set(WHAT) == set(get_args(Task))


class Drivers:
    """The drivers built so far, one for each back end."""

    def __init__(self, build: BuildDriver, context: Callable[[str], DriverContext]) -> None:
        self._build = build
        self._context = context
        self._built: dict[str, Driver] = {}
        self._former: list[Driver] = []

    def get(self, backend: str) -> Driver:
        if backend not in self._built:
            self._built[backend] = self._build(backend, self._context(backend))
        return self._built[backend]

    def renew(self, backend: str) -> None:
        """Build the driver anew when it is asked for next; what it has loaded stays its own."""
        if driver := self._built.pop(backend, None):
            self._former.append(driver)

    async def close(self) -> None:
        built, self._built, self._former = [*self._former, *self._built.values()], {}, []
        for driver in built:
            await driver.close()


class Resolver:
    """Resolves names against `models.yaml` and what the back ends have now."""

    def __init__(
        self,
        file: ModelsFile,
        drivers: Drivers,
        trouble: Callable[[str], MotetError | None],
    ) -> None:
        self._file = file
        self._drivers = drivers
        self._trouble = trouble

    def replace(self, file: ModelsFile) -> None:
        """Resolve against another file from now on."""
        self._file = file

    async def resolve(
        self, name: str, task: Task, without: Mapping[str, str] | None = None
    ) -> ResolvedModel:
        """The model for a role, a model's name or "<backend>/<source>".

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
        raise NotFound(
            f"There is no model or role '{name[:80]}'. {hint}",
            code="model_not_found",
            details={"field": "model", "model": name[:80]},
        )

    async def _from_role(self, role: str, task: Task, without: Mapping[str, str]) -> ResolvedModel:
        passed: list[tuple[str, str]] = []
        for entry in self._file.roles[role]:
            async for spec, why in self._candidates(entry, task):
                if spec and spec.name != entry and spec.name in self._file.roles[role]:
                    continue  # the list has a place of its own for it
                if spec:
                    why = await self._why_not(spec, task, without)
                if spec and not why:
                    return ResolvedModel(
                        spec, role, _reason(role, entry, spec, passed), tuple(passed)
                    )
                passed.append((spec.name if spec else entry, why or "not available"))
        told = (
            " ".join(f"{name}: {why.rstrip('.')}." for name, why in passed)
            or "models.yaml names none for it."
        )
        raise Unavailable(
            f"Role '{role}' has no model that is available. {told} "
            "`motet models profile` proposes models for this machine.",
            code="role_unavailable",
            details={"role": role, "passed_over": [list(item) for item in passed]},
        )

    async def _why_not(self, spec: ModelSpec, task: Task, without: Mapping[str, str]) -> str | None:
        if spec.task != task:
            return _other_task(spec, task)
        if why := without.get(spec.name):
            return why
        if error := self._trouble(spec.name):
            return error.message
        return await self._drivers.get(spec.backend).available(spec)

    async def _candidates(
        self, entry: str, task: Task
    ) -> AsyncIterator[tuple[ModelSpec | None, str | None]]:
        """The models an entry of a role stands for, or why there are none."""
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
            for spec in await self._drivers.get(backend).discover(task):
                count += 1
                yield spec, None
        except MotetError as error:
            yield None, error.message
            return
        if not count:
            yield None, f"it has no model for {WHAT[task]}, and models.yaml declares none"

    def _by_name(self, name: str, task: Task) -> ModelSpec | None:
        if name in self._file.models:
            return self._file.models[name]
        backend, _, source = name.partition("/")
        if backend in BACKENDS and source:
            return self._drivers.get(backend).named(source, task)
        return None


def _other_task(spec: ModelSpec, task: Task) -> str:
    return f"is for {WHAT[spec.task]}, not for {WHAT[task]}."


def _reason(role: str, entry: str, spec: ModelSpec, passed: list[tuple[str, str]]) -> str:
    what = f"first available of role '{role}'" if passed else f"first of role '{role}'"
    return what if entry == spec.name else f"{what}, found by {entry}"
