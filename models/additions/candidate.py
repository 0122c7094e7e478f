"""A model that could be added: its entry in models.yaml, and what it takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.errors import Invalid
from models.catalog.file import RESERVED_NAMES
from models.catalog.spec import Task

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_ADDITIONS_TO_NAMES = re.compile(r"[-._](gguf|instruct|it|chat|i?q\d[a-z0-9_]*|b?f16|f32)$")
"""What the names of files and repositories say of a model's format, at their end."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model, as it would be declared under `name`.

    `download_bytes`: what would be fetched, None where nobody knows; 0 for what is here.
    `memory_bytes`: the least that it takes when loaded, as far as it is known.
    """

    name: str
    task: Task
    backend: str
    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    download_bytes: int | None = None
    memory_bytes: int = 0
    license: str = ""
    note: str = ""

    @property
    def entry(self) -> dict[str, Any]:
        """What stands under its name in models.yaml."""
        entry = {"task": self.task, "backend": self.backend, "source": self.source}
        return {**entry, "options": dict(self.options)} if self.options else entry

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **self.entry,
            "download_bytes": self.download_bytes,
            "memory_bytes": self.memory_bytes,
            "license": self.license,
            "note": self.note,
        }


def name_after(text: str) -> str:
    """Derive a model's name from that of a file, a repository or a tag."""
    name = re.sub(r"[^a-z0-9._]+", "-", text.lower().removesuffix(".gguf")).strip("-._")
    while (shorter := _ADDITIONS_TO_NAMES.sub("", name)) != name:
        name = shorter
    return name[:64] or "model"


def guess_task(text: str) -> Task:
    """Guess what a GGUF model is for by the name of its repository or tag."""
    return "embed" if "embed" in text.lower() else "chat"


def check_name(name: str) -> None:
    """Raise `Invalid` (`invalid_model_name`) for what cannot be a model's name in models.yaml."""
    if not NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise Invalid(
            f"No model can be called '{name[:80]}': take up to 64 small letters, digits and the "
            "signs - _ . between them.",
            code="invalid_model_name",
            details={"field": "name"},
        )
