"""Pydantic's errors in the words of an agent's file: positions, keys, proposals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.errors import nearest
from config.validation_words import TYPE_WORDS, join_type_errors, word_error
from graphs.spec.branches import Branch
from graphs.spec.channels import Channel, InputField
from graphs.spec.node_spec import Cache, NodeSpec, OnError, Retry
from graphs.spec.problems import Path, Problems

MODELS_BY_KEY: Mapping[str, type[BaseModel]] = {
    "retry": Retry,
    "cache": Cache,
    "on_error": OnError,
    "branches": Branch,
    "edges": Branch,
    "input": InputField,
    "state": Channel,
}
"""What stands under a key, whatever is around it."""


def report_errors(
    error: ValidationError,
    data: Any,
    problems: Problems,
    top: type[BaseModel],
    node_specs: Mapping[str, type[NodeSpec]],
) -> None:
    """Add every error of a validation to the problems; `data` are the values that were validated.

    `top` is the model of the whole file, `node_specs` are those of nodes by type.
    """
    reporter = _Reporter(data, problems, top, node_specs)
    for each in reporter.join(error.errors(include_url=False)):
        if problems.is_full():
            break
        reporter.report(each)


@dataclass
class _Reporter:
    data: Any
    problems: Problems
    top: type[BaseModel]
    node_specs: Mapping[str, type[NodeSpec]]

    def join(self, errors: list[ErrorDetails]) -> list[ErrorDetails]:
        """Report those that only say of which types a value could be, and return the others."""
        by_path: dict[Path, list[ErrorDetails]] = {}
        for error in errors:
            if error["type"] in TYPE_WORDS and error["loc"][-1:] != ("[key]",):
                by_path.setdefault(self._path(error["loc"]), []).append(error)
        for path, tried in by_path.items():
            self.problems.add(path, join_type_errors(tried))
        joined = {id(error) for tried in by_path.values() for error in tried}
        return [error for error in errors if id(error) not in joined]

    def report(self, error: ErrorDetails) -> None:
        kind, context = error["type"], error.get("ctx", {})
        path = self._path(error["loc"])
        last = str(error["loc"][-1]) if error["loc"] else ""
        add = self.problems.add
        if kind == "extra_forbidden":
            add(path, f"there is no key '{last}' here.", nearest(last, self._keys(path[:-1])))
        elif kind == "missing":
            add((*path, last), "is required.")
        elif kind == "union_tag_not_found":
            add((*path, "type"), "is required.", nearest("", list(self.node_specs)))
        elif kind == "union_tag_invalid":
            tag = str(context.get("tag"))
            hint = nearest(tag, list(self.node_specs))
            add((*path, "type"), f"there is no node type '{tag}'.", hint)
        elif last == "[key]" or kind == "string_pattern_mismatch":
            subject = f"'{path[-1]}'" if last == "[key]" else "this"
            add(path, f"{subject} is not a name.", word_error(error).capitalize())
        else:
            add(path, word_error(error))

    def _path(self, loc: tuple[int | str, ...]) -> Path:
        """Return the path in the file, without the names of models that pydantic puts between."""
        path: list[str | int] = []
        tagged: set[int] = set()
        here = self.data
        for part in loc:
            # After a node's name pydantic puts its type, which may be the name of a field too.
            if len(path) > 1 and path[-2] == "nodes" and len(path) not in tagged:
                tagged.add(len(path))
                if isinstance(here, dict) and part == here.get("type"):
                    continue
            exists = (isinstance(here, dict) and part in here) or (
                isinstance(here, list) and isinstance(part, int) and part < len(here)
            )
            if exists:
                path.append(part)
                here = here[part]
        return tuple(path)

    def _keys(self, path: Path) -> list[str]:
        """Return the keys that may stand at a path."""
        model: type[BaseModel] = self.top
        here = self.data
        for number, part in enumerate(path):
            here = here[part]
            if number and path[number - 1] == "nodes" and isinstance(here, dict):
                model = self.node_specs.get(str(here.get("type")), model)
            elif isinstance(part, str):
                model = MODELS_BY_KEY.get(part, model)
        return [field.alias or name for name, field in model.model_fields.items()]
