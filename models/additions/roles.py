"""Which role an added model serves, and whether that role takes it first. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from models.catalog.file import ModelsFile
from models.catalog.roles import ROLE_TASKS
from models.catalog.spec import ModelSpec

ROLE_OF_TASK = {task: role for role, task in ROLE_TASKS.items()}


@dataclass(frozen=True, slots=True)
class RolePlan:
    """What becomes of a model's role: `names` is its new list, None where it stays as it is.

    `preferred`: the role takes the model first, where it can be loaded.
    """

    role: str
    names: list[str] | None
    preferred: bool


def plan_role(file: ModelsFile, spec: ModelSpec) -> RolePlan:
    """Plan how the role of a declared model comes to prefer it.

    Embedders are left to their user: with another one all indexes are embedded anew.
    """
    role = ROLE_OF_TASK[spec.task]
    names = file.roles.get(role, [])
    if names and _first_of(names[0], file, spec) == spec.name:
        return RolePlan(role, None, preferred=True)
    if spec.task == "embed":
        return RolePlan(role, None, preferred=False)
    others = [name for name in names if name != spec.name]
    return RolePlan(role, [spec.name, *others], preferred=True)


def _first_of(entry: str, file: ModelsFile, spec: ModelSpec) -> str | None:
    backend, _, source = entry.partition("/")
    if source != "*":
        return entry
    same = (each for each in file.models.values() if each.backend == backend)
    return next((each.name for each in same if each.task == spec.task), None)
