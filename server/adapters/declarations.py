"""Models and indexes as their files declare them, looked at without opening either.

Owns what one of the files says about the other's subject: which embedding model an index names, and
options, which only back ends know. The readers of the files find what is wrong with their form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from config.errors import Invalid
from config.settings import Settings
from config.yaml_reader import YamlDocument, drop_all_extensions, read_yaml
from indexes.spec import IndexSpec, declared_indexes
from models.backends import BACKENDS, build_driver
from models.backends.common.base_driver import BaseDriver, check_task
from models.catalog.file import ModelsFile, load_models
from models.catalog.layers import KeyPath
from models.catalog.names import find_name_problem
from models.catalog.roles import ROLE_TASKS
from models.catalog.spec import ModelSpec, Task
from models.driver import Driver, DriverContext
from models.driver_cache import DriverCache

FindModelProblem = Callable[[str, Task], str | None]


def declared_drivers(settings: Settings, file: ModelsFile) -> DriverCache:
    """Build drivers that are asked about names and options, and never for a model."""
    nothing: Any = None

    def context(backend: str) -> DriverContext:
        return DriverContext(settings, file.backends.get(backend, {}), nothing)

    return DriverCache(build_driver, context)


def check_models_file(settings: Settings, path: Path) -> list[dict[str, Any]]:
    """Find what is wrong with the options in a `models.yaml`, each problem with its line.

    Raises `Invalid` (`invalid_models_file`) with all that is wrong with its form.
    """
    file = load_models(settings.model_copy(update={"models": path, "environment": None}))
    document = read_yaml(path.read_bytes())
    drivers = declared_drivers(settings, file)
    own = drop_all_extensions(document.value or {})
    problems = [
        *_check_backends(file, drivers, own.get("backends") or {}, document),
        *_check_options(file, drivers, own.get("models") or {}, document),
        *_check_roles(file, drivers, own.get("roles") or {}, document),
    ]
    return sorted(problems, key=lambda problem: problem["line"] or 0)


def _check_backends(
    file: ModelsFile, drivers: DriverCache, own: Mapping[str, Any], document: YamlDocument
) -> Iterator[dict[str, Any]]:
    for name in own:
        try:
            if name in BACKENDS:
                drivers.get(name)
        except Invalid as error:
            field = _field(error)
            message = error.message.removeprefix(f"backends.{name}: {field}: ")
            at = ("backends", name, *field.removeprefix("options.").split("."))
            yield _problem(document, at, message)


def _check_roles(
    file: ModelsFile, drivers: DriverCache, own: Mapping[str, Any], document: YamlDocument
) -> Iterator[dict[str, Any]]:
    """Find usual roles whose lists have nothing for the work that agents ask them for."""
    for role in own:
        task = ROLE_TASKS.get(role)
        if task and (problem := find_name_problem(file, drivers, role, task)):
            yield _problem(document, ("roles", role), problem)


def _check_options(
    file: ModelsFile, drivers: DriverCache, own: Mapping[str, Any], document: YamlDocument
) -> Iterator[dict[str, Any]]:
    for name in own:
        if (spec := file.models.get(name)) is None:
            continue
        try:
            _ask_driver(drivers.get(spec.backend), spec)
        except Invalid as error:
            field = _field(error)
            message = error.message.removeprefix(f"{name}: ").removeprefix(f"{field}: ")
            yield _problem(document, ("models", name, *field.split(".")), message)


def _ask_driver(driver: Driver, spec: ModelSpec) -> None:
    """Let the back end read a model's options and task. Raises `Invalid` for what it does not take.

    What is not installed or not pulled is no fault of the file.
    """
    if isinstance(driver, BaseDriver):
        check_task(spec, driver.tasks or [spec.task])
        driver.find_problem(spec)
    else:
        driver.estimate(spec)


def check_indexes_file(settings: Settings, path: Path) -> list[dict[str, Any]]:
    """Find which models and folders that an `indexes.yaml` names are not there.

    Raises `Invalid` (`invalid_indexes_file`) with all that is wrong with its form.
    """
    declared = declared_indexes(settings.model_copy(update={"indexes": path}))
    document = read_yaml(path.read_bytes())
    file = load_models(settings)
    find = partial(find_name_problem, file, declared_drivers(settings, file))
    own = (document.value or {}).get("indexes") or {}
    return [
        _problem(document, ("indexes", name, *at), message)
        for name, spec in declared.items()
        if name in own
        for at, message in (*find_model_problems(spec, find), *_find_missing_folders(spec))
    ]


def find_model_problems(
    spec: IndexSpec, find_model_problem: FindModelProblem
) -> Iterator[tuple[KeyPath, str]]:
    """Yield the models of an index that could never do its work, each with its field."""
    if problem := find_model_problem(spec.model, "embed"):
        yield ("model",), problem
    if spec.rerank and (problem := find_model_problem(spec.rerank, "rerank")):
        yield ("rerank",), problem


def _find_missing_folders(spec: IndexSpec) -> Iterator[tuple[KeyPath, str]]:
    for number, folder in enumerate(spec.folders):
        if not Path(folder).expanduser().is_dir():
            message = f"there is no folder '{folder}'. Relative ones are below the file's folder."
            yield ("folders", number), message


def _field(error: Invalid) -> str:
    return str(error.details.get("field") or "options")


def _problem(document: YamlDocument, path: KeyPath, message: str) -> dict[str, Any]:
    return {"line": document.line(path), "field": ".".join(map(str, path)), "message": message}
