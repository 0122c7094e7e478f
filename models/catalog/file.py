"""Reads `models.yaml`: the shipped one, with the user's and an environment laid over it.

Checks all that can be checked without asking a back end; options are the back ends' to check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from config.errors import Invalid, nearest
from config.file_faults import FileFault
from config.settings import SHIPPED, Settings
from config.trusted_files import check_trusted
from config.validation_words import word_error
from models.backends import BACKENDS
from models.catalog.layers import KeyPath, Layer, add_sections, fault_at, invalid, merge, read_layer
from models.catalog.spec import ModelSpec

OPTIONAL_ROLES = frozenset({"rerank", "transcribe"})
SECTIONS = ("models", "roles", "backends", "memory_cap_bytes")
ENVIRONMENTS = "environments"
PROGRAM_KEYS = frozenset({"serve", "program", "allow_pickles"})
"""Options that say what is started, or let weights say it."""
RESERVED_NAMES = frozenset({"profile", "events", "missing", "pull", "pulls"})
"""No names for models: they mean something else behind /models/."""


class ModelsFile(BaseModel):
    """Everything that `models.yaml` declares, for the environment that the settings name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    roles: dict[str, list[str]] = Field(default_factory=dict)
    backends: dict[str, dict[str, Any]] = Field(default_factory=dict)
    memory_cap_bytes: dict[str, int] = Field(
        default_factory=dict, description="By device: the most that all models take together."
    )


def load_models(settings: Settings) -> ModelsFile:
    """Read the models of this installation; blocks.

    Raises `Invalid` naming file, line and field, also for an environment that is not the chosen
    one: otherwise its mistakes would show on the day it is needed; and `Invalid` (`untrusted_file`)
    for a file that starts programs and that somebody else can change.
    """
    layers = [add_sections(layer, (*SECTIONS, ENVIRONMENTS)) for layer in _read_files(settings)]
    loaded = {name: _validate(_overlay(layers, name)) for name in (None, *_environments(layers))}
    if settings.environment not in loaded:
        known = [name for name in loaded if name]
        hint = nearest(settings.environment or "", known)
        raise Invalid(
            f"environment: there is no environment '{settings.environment}'. {hint}",
            code="invalid_settings",
            details={"field": "environment"},
        )
    return loaded[settings.environment]


def _read_files(settings: Settings) -> list[Layer]:
    layers = [read_layer(SHIPPED / "models.yaml")]
    if settings.models_file.exists():
        layer = read_layer(settings.models_file)
        if _starts_programs(layer.data):
            check_trusted(settings.models_file)
        layers.append(layer)
    elif settings.models:
        raise Invalid(
            f"{settings.models}: there is no such file; the setting `models` names it.",
            code="invalid_settings",
            details={"field": "models", "file": str(settings.models)},
        )
    return layers


def _starts_programs(data: Any) -> bool:
    """Return whether a file says which programs are started: servers of models, or Ollama's own."""
    if isinstance(data, dict):
        return not PROGRAM_KEYS.isdisjoint(data) or any(map(_starts_programs, data.values()))
    return isinstance(data, list) and any(map(_starts_programs, data))


def _environments(layers: Sequence[Layer]) -> list[str]:
    """List all environments. Raises `Invalid` for those that are no mapping of sections."""
    names: dict[str, None] = {}
    faults = []
    for layer in layers:
        for name, data in layer.data[ENVIRONMENTS].items():
            if not isinstance(data, dict):
                message = "must hold sections such as `roles:`"
                faults.append(layer.fault((ENVIRONMENTS, name), message))
                continue
            for key in data:
                if key not in SECTIONS:
                    message = f"there is no such section. {nearest(str(key), SECTIONS)}"
                    faults.append(layer.fault((ENVIRONMENTS, name, key), message))
            names[name] = None
    if faults:
        raise invalid(faults)
    return list(names)


def _overlay(layers: Sequence[Layer], environment: str | None) -> list[Layer]:
    """Lay over the files what they say of an environment."""
    over = [layer.inner((ENVIRONMENTS, environment)) for layer in layers if environment]
    return [*layers, *(add_sections(layer, SECTIONS) for layer in over if layer)]


def _validate(layers: list[Layer]) -> ModelsFile:
    whole = merge(layers)
    del whole[ENVIRONMENTS]
    for name, entry in whole["models"].items():
        if isinstance(entry, dict):
            whole["models"][name] = {"name": name, **entry}
    try:
        loaded = ModelsFile.model_validate(whole)
    except ValidationError as error:
        raise invalid(_explain(layers, error)) from error
    if faults := list(_find_faults(loaded, layers)):
        raise invalid(faults)
    return loaded


def _find_faults(loaded: ModelsFile, layers: list[Layer]) -> Iterator[FileFault]:
    for name, spec in loaded.models.items():
        if spec.backend not in BACKENDS:
            message = f"there is no back end '{spec.backend}'. {nearest(spec.backend, BACKENDS)}"
            yield fault_at(layers, ("models", name, "backend"), message)
        if name in RESERVED_NAMES:
            yield fault_at(layers, ("models", name), f"no model can be called '{name}'")
        if "/" in name or spec.name != name:
            message = "a model's name is its key, and holds no '/'"
            yield fault_at(layers, ("models", name, "name"), message)
    for backend in loaded.backends:
        if backend not in BACKENDS:
            message = f"there is no back end '{backend}'. {nearest(backend, BACKENDS)}"
            yield fault_at(layers, ("backends", backend), message)
    for role, names in loaded.roles.items():
        yield from _find_role_faults(loaded, layers, role, names)


def _find_role_faults(
    loaded: ModelsFile, layers: list[Layer], role: str, names: list[str]
) -> Iterator[FileFault]:
    if role in loaded.models:
        yield fault_at(layers, ("roles", role), f"'{role}' is the name of a model already")
    if not names and role not in OPTIONAL_ROLES:
        yield fault_at(layers, ("roles", role), "a role needs at least one model")
    for number, name in enumerate(names):
        backend, slash, _ = name.partition("/")
        known: Mapping[str, Any] = BACKENDS if slash else loaded.models
        if (backend if slash else name) not in known:
            what = f"back end '{backend}'" if slash else f"model '{name}'"
            hint = nearest(backend if slash else name, known)
            yield fault_at(layers, ("roles", role, number), f"there is no {what}. {hint}")


def _explain(layers: list[Layer], error: ValidationError) -> list[FileFault]:
    """Word each error of a validation; where several types were tried, the first stands."""
    by_path: dict[KeyPath, ErrorDetails] = {}
    for each in error.errors():
        by_path.setdefault(each["loc"], each)
    return [fault_at(layers, path, _word(each)) for path, each in by_path.items()]


def _word(error: ErrorDetails) -> str:
    path = error["loc"]
    if error["type"] == "missing" and path[-1] == "backend":
        return f"is required. {nearest('', BACKENDS)}"
    if error["type"] == "extra_forbidden":
        valid = list(ModelSpec.model_fields if path[0] == "models" else ModelsFile.model_fields)
        if path[0] != "models":
            valid.append(ENVIRONMENTS)
        return f"there is no such field. {nearest(str(path[-1]), valid)}"
    return word_error(error)
