"""Reading `models.yaml`: the shipped one, with the user's laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.errors import Invalid, nearest
from config.settings import SHIPPED, Settings
from models.backends import BACKENDS
from models.spec import ModelSpec

OPTIONAL_ROLES = frozenset({"rerank", "transcribe"})
SECTIONS = ("models", "roles", "backends", "memory_cap_bytes")


class ModelsFile(BaseModel):
    """Everything `models.yaml` declares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    roles: dict[str, list[str]] = Field(default_factory=dict)
    backends: dict[str, dict[str, Any]] = Field(default_factory=dict)
    memory_cap_bytes: dict[str, int] = Field(
        default_factory=dict, description="By device: the most that all models take together."
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """A parsed file that still knows its lines."""

    file: Path
    data: dict[str, Any]
    root: yaml.Node | None

    def line(self, path: tuple[str | int, ...]) -> int | None:
        """The line of the innermost thing of `path` that this file has; None without the first."""
        node, line = self.root, None
        for key in path:
            if (found := _child(node, key)) is None:
                break
            line, node = found
        return line


def load_models(settings: Settings) -> ModelsFile:
    """The models of this installation. Raises `Invalid` naming file, line and field."""
    sources = [_read(SHIPPED / "models.yaml")]
    if settings.models_file.is_file():
        sources.append(_read(settings.models_file))
    elif settings.models:
        raise Invalid(
            f"{settings.models}: there is no such file; the setting `models` names it.",
            details={"field": "models", "file": str(settings.models)},
        )
    merged = _merge([source.data for source in sources])
    for name, entry in merged["models"].items():
        if isinstance(entry, dict):
            entry.setdefault("name", name)
    try:
        loaded = ModelsFile.model_validate(merged)
    except ValidationError as error:
        raise _explained(sources, error) from error
    _check(loaded, sources)
    return loaded


def _read(file: Path) -> _Source:
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise _invalid(file, line, "", f"not valid YAML: {error.problem}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise _invalid(file, None, "", f"cannot be read: {error}") from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise _invalid(file, 1, "", "must hold sections such as `models:` and `roles:`")
    for section in SECTIONS:
        if data.get(section) is None:
            data[section] = {}
        elif not isinstance(data[section], dict):
            line = _Source(file, data, root).line((section,))
            raise _invalid(file, line, section, "must hold names with their values")
    return _Source(file, data, root)


def _merge(layers: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        for section, value in layer.items():
            merged[section] = _over(merged.get(section), value, 2)
    return merged


def _over(below: Any, above: Any, depth: int) -> Any:
    """`above` laid over `below`: sections and entries are merged, anything deeper replaced."""
    if depth == 0 or not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    keys = {**below, **above}
    return {key: _over(below.get(key), above.get(key, below.get(key)), depth - 1) for key in keys}


def _child(node: yaml.Node | None, key: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark.line + 1, node.value[key]
    return None


def _check(loaded: ModelsFile, sources: list[_Source]) -> None:
    for name, spec in loaded.models.items():
        if spec.backend not in BACKENDS:
            message = f"there is no back end '{spec.backend}'. {nearest(spec.backend, BACKENDS)}"
            raise _at(sources, ("models", name, "backend"), message)
        if "/" in name or spec.name != name:
            message = "a model's name is its key, and holds no '/'"
            raise _at(sources, ("models", name, "name"), message)
    for backend in loaded.backends:
        if backend not in BACKENDS:
            message = f"there is no back end '{backend}'. {nearest(backend, BACKENDS)}"
            raise _at(sources, ("backends", backend), message)
    for role, names in loaded.roles.items():
        _check_role(loaded, sources, role, names)


def _check_role(loaded: ModelsFile, sources: list[_Source], role: str, names: list[str]) -> None:
    if role in loaded.models:
        raise _at(sources, ("roles", role), f"'{role}' is the name of a model already")
    if not names and role not in OPTIONAL_ROLES:
        raise _at(sources, ("roles", role), "a role needs at least one model")
    for number, name in enumerate(names):
        backend, slash, _ = name.partition("/")
        known: Mapping[str, Any] = BACKENDS if slash else loaded.models
        if (backend if slash else name) not in known:
            what = f"back end '{backend}'" if slash else f"model '{name}'"
            hint = nearest(backend if slash else name, known)
            raise _at(sources, ("roles", role, number), f"there is no {what}. {hint}")


def _explained(sources: list[_Source], error: ValidationError) -> Invalid:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    path = tuple(first["loc"])
    if first["type"] == "extra_forbidden":
        valid = ModelSpec.model_fields if path[0] == "models" else ModelsFile.model_fields
        message = f"there is no such field. {nearest(str(path[-1]), list(valid))}"
    return _at(sources, path, message)


def _at(sources: list[_Source], path: tuple[str | int, ...], message: str) -> Invalid:
    """The error, placed in the last file that says most about `path`."""
    for depth in range(len(path), 0, -1):
        for source in reversed(sources):
            node: Any = source.data
            for key in path[:depth]:
                node = _value(node, key)
            if node is not None:
                field = ".".join(map(str, path))
                return _invalid(source.file, source.line(path), field, message)
    return _invalid(sources[-1].file, None, ".".join(map(str, path)), message)


def _value(node: Any, key: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list) and isinstance(key, int) and key < len(node):
        return node[key]
    return None


def _invalid(file: Path, line: int | None, field: str, message: str) -> Invalid:
    where = f"{file}:{line}" if line else f"{file}"
    details = {"file": str(file), "line": line, "field": field}
    return Invalid(
        f"{where}: {field + ': ' if field else ''}{message}",
        code="bad_models_file",
        details={key: value for key, value in details.items() if value},
    )
