"""Names of models that files hold: which of them can stand for a model, and for which work.

Decides by `models.yaml` and what back ends can do at all, without asking one what it has; what a
name stands for now is `roles`'.
"""

from __future__ import annotations

from typing import Any

from config.errors import nearest
from models.backends import BACKENDS
from models.catalog.file import ModelsFile
from models.catalog.roles import TASK_PHRASES
from models.catalog.spec import Task
from models.driver_cache import DriverCache


def find_name_problem(file: ModelsFile, drivers: DriverCache, name: str, task: Task) -> str | None:
    """Say why a role, a model's name or "<backend>/<source>" can never be taken for a task.

    None where it can, at least on a machine that has what it takes.
    """
    if name in file.roles:
        # A role without models is one that its owner fills when there is something to fill it with.
        entries = file.roles[name]
        if not entries or any(_can_serve(file, drivers, entry, task) for entry in entries):
            return None
        return f"role '{name}' has no model for {TASK_PHRASES[task]} in its list."
    if spec := file.models.get(name):
        actual, required = TASK_PHRASES[spec.task], TASK_PHRASES[task]
        return None if spec.task == task else f"model '{name}' is for {actual}, not for {required}."
    backend, slash, source = name.partition("/")
    if slash and backend in BACKENDS:
        if source and drivers.get(backend).named(source, task):
            return None
        return (
            f"'{name[:80]}' cannot be taken for {TASK_PHRASES[task]}: declare a model of the back "
            f"end '{backend}' for that in models.yaml, and name it here."
        )
    if slash:
        return f"there is no back end '{backend[:80]}'. {nearest(backend, BACKENDS)}"
    hint = nearest(name, [*file.roles, *file.models])
    return f"there is no model or role '{name[:80]}'. {hint}"


def list_voices(file: ModelsFile, name: str) -> list[str] | None:
    """List the voices that models.yaml declares of a model, or of every model of a role.

    None where it does not tell of each: only the loaded model knows.
    """
    specs = [file.models.get(entry) for entry in file.roles.get(name, [name])]
    declared: list[Any] = [spec.options.get("voices") if spec else None for spec in specs]
    if not declared or not all(isinstance(voices, list) and voices for voices in declared):
        return None
    return [str(voice) for voices in declared for voice in voices]


def _can_serve(file: ModelsFile, drivers: DriverCache, entry: str, task: Task) -> bool:
    """Tell whether an entry of a role's list may stand for a model of a task."""
    if spec := file.models.get(entry):
        return spec.task == task
    backend, _, source = entry.partition("/")
    declared = (spec.backend == backend and spec.task == task for spec in file.models.values())
    if source == "*" and any(declared):
        return True
    # What a back end finds by itself, it can be asked for by name too.
    return backend in BACKENDS and drivers.get(backend).named(source, task) is not None
