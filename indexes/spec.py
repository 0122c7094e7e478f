"""How an index is declared, and the reading of `indexes.yaml`.

Owns the checks of a declaration. Errors name the file, the line and the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from config.errors import Invalid, nearest
from config.file_faults import FileFault, file_error
from config.files import read_file
from config.settings import SHIPPED, Settings
from config.validation_words import refuse_bool_as_number, word_error
from config.yaml_reader import drop_all_extensions, read_yaml

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]


class IndexSpec(BaseModel):
    """A named set of searchable documents and how they are cut, embedded and ranked."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _check_numbers = field_validator("*", mode="wrap")(refuse_bool_as_number)

    name: Name = Field(description="Lower-case letters, digits, '-' and '_'; at most 64.")
    description: str = Field("", max_length=1000)
    folders: tuple[str, ...] = Field((), description="Folders indexed when it is refreshed.")
    chunk_words: int = Field(200, ge=20, le=1000, description="The size of a passage in words.")
    model: str = Field("embed", min_length=1, description="A role or an embedding model.")
    weight: float = Field(
        0.85, ge=0, le=1, description="Of meaning against keywords: 1 is meaning alone."
    )
    rerank: str | None = Field(
        None, min_length=1, description="A role or a model that sorts the best candidates again."
    )
    watch: bool = Field(False, description="Index its folders again whenever they change.")
    pictures: bool = Field(
        False, description="Index the pictures in folders too, by what a model sees in them."
    )


class _IndexesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    indexes: dict[Name, IndexSpec] = Field(default_factory=dict)


def index_spec(fields: dict[str, Any]) -> IndexSpec:
    """Build a spec from a request's fields. Raises `Invalid` (`invalid_index`), with the field."""
    try:
        return IndexSpec.model_validate(fields)
    except ValidationError as error:
        path, message = _complaint(error.errors()[0], IndexSpec)
        field = ".".join(map(str, path))
        raise Invalid(
            f"{field}: {message}", code="invalid_index", details={"field": field}
        ) from error


def check_name(name: str) -> str:
    """Return the name. Raises `Invalid` (`invalid_index`) if it cannot name an index."""
    if not re.fullmatch(NAME, name):
        raise Invalid(
            f"'{name[:80]}' cannot name an index: use lower-case letters, digits, '-' and '_', "
            "at most 64 of them.",
            code="invalid_index",
            details={"field": "name"},
        )
    return name


def declared_indexes(settings: Settings) -> dict[str, IndexSpec]:
    """Read the indexes of `indexes.yaml`, the shipped file and then the user's, by name.

    Raises `Invalid` (`invalid_indexes_file`) with file, line and field.
    """
    declared = _read(SHIPPED / "indexes.yaml")
    if settings.indexes_file.exists():
        declared |= _read(settings.indexes_file)
    elif settings.indexes:
        raise _invalid([FileFault(settings.indexes_file, None, "", "there is no such file")])
    return declared


def _read(file: Path) -> dict[str, IndexSpec]:
    try:
        document = read_yaml(read_file(file))
    except OSError as error:
        raise _invalid([FileFault(file, None, "", f"cannot be read: {error.strerror}")]) from error
    if document.faults:
        raise _invalid(FileFault(file, *fault) for fault in document.located_faults())
    try:
        specs = _IndexesFile.model_validate(_with_names(document.value or {})).indexes
    except ValidationError as error:
        # A name is its entry's key, which has an error of its own.
        errors = [each for each in error.errors() if each["loc"][2:] != ("name",)]
        complaints = [_complaint(each, _IndexesFile) for each in errors]
        raise _invalid(
            FileFault(file, document.line(path), ".".join(map(str, path)), message)
            for path, message in complaints
        ) from error
    return {name: _resolve_folders(spec, file.parent) for name, spec in specs.items()}


def _with_names(data: Any) -> Any:
    """Give each entry its key as its name; `docs:` alone declares an index with all defaults."""
    if not isinstance(data, dict):
        return data
    data = drop_all_extensions(data)
    entries = data.get("indexes")
    if not isinstance(entries, dict):
        return data if entries is not None else {**data, "indexes": {}}
    named = {
        key: {**(fields or {}), "name": key} if isinstance(fields or {}, dict) else fields
        for key, fields in entries.items()
    }
    return {**data, "indexes": named}


def _resolve_folders(spec: IndexSpec, base: Path) -> IndexSpec:
    """Make the folders absolute; relative ones are below the file's own folder."""
    folders = tuple(str((base / Path(folder).expanduser()).resolve()) for folder in spec.folders)
    return spec.model_copy(update={"folders": folders})


def _complaint(error: ErrorDetails, within: type[BaseModel]) -> tuple[tuple[str | int, ...], str]:
    path = tuple(part for part in error["loc"] if part != "[key]")
    message = word_error(error)
    if error["type"] == "extra_forbidden":
        model = within if len(path) == 1 else IndexSpec
        message = f"there is no such field. {nearest(str(path[-1]), list(model.model_fields))}"
    elif error["type"] == "string_pattern_mismatch":
        message = "use lower-case letters, digits, '-' and '_', at most 64 of them"
    return path, message


def _invalid(faults: Iterable[FileFault]) -> Invalid:
    return file_error(faults, code="invalid_indexes_file")
