"""Changes of a models.yaml that keep what its author wrote: comments, order, quotes. Pure.

Owns the text. Invariant: a changed text says what the old one said, and the change, nothing else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from config.errors import Conflict
from config.yaml_reader import read_yaml

UNBOUNDED_COLUMNS = 100_000
"""No line is wrapped."""


def add_model(text: str, name: str, entry: Mapping[str, Any]) -> str:
    """Add an entry under `models:`, as the last, or replace the one of its name.

    Raises `Conflict` (`models_file_not_editable`) where the file cannot be changed so.
    """

    def change(root: Any) -> None:
        _section(root, "models")[name] = CommentedMap(entry)

    return _edit(text, change)


def set_role(text: str, role: str, names: Sequence[str]) -> str:
    """Set the list of a role. Raises as `add_model` does."""

    def change(root: Any) -> None:
        _section(root, "roles")[role] = _in_one_line(names)

    return _edit(text, change)


def remove_model(text: str, name: str) -> str:
    """Remove an entry under `models:`, and its name from the roles of the file.

    Raises as `add_model` does, and `Conflict` (`model_read_only`) where the file has no such entry.
    """
    value = read_yaml(text).value
    models = value.get("models") if isinstance(value, dict) else None
    if not isinstance(models, dict) or name not in models:
        raise Conflict(
            f"'{name}' is not of your models.yaml: it comes with Motet, or a back end has it.",
            code="model_read_only",
            details={"field": "model"},
        )

    def change(root: Any) -> None:
        del root["models"][name]
        for role, names in list((root.get("roles") or {}).items()):
            if isinstance(names, list) and name in names:
                names.remove(name)
                if not names:  # no role may be empty: the shipped list counts then
                    del root["roles"][role]

    return _edit(text, change)


def _edit(text: str, change: Callable[[Any], None]) -> str:
    """Apply a change to the text, and to its values, which must come out the same."""
    before = read_yaml(text)
    expected = {"version": 1} if before.value is None else before.value
    if before.faults or not isinstance(expected, dict):
        raise _not_editable("its YAML has faults")
    if before.value is None:
        text = f"{text.rstrip()}\nversion: 1\n".lstrip()
    try:
        yaml = _round_trip(text)
        root = yaml.load(text)
        change(root)
        written = io.StringIO()
        yaml.dump(root, written)
        change(expected)
    except (YAMLError, KeyError, AttributeError, TypeError) as error:
        raise _not_editable(f"it is written in a way that is not understood ({error})") from error
    after = read_yaml(written.getvalue())
    if after.faults or after.value != expected:
        raise _not_editable("something else in it would be changed too")
    return written.getvalue()


def _round_trip(text: str) -> YAML:
    """Prepare to write a text as it is indented."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(#|$)", line)]
    indents = [len(line) - len(line.lstrip(" ")) for line in lines]
    offset = 2
    for number, line in enumerate(lines[1:], start=1):
        if line.lstrip(" ").startswith("- "):
            offset = max(0, indents[number] - indents[number - 1])
            break
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = UNBOUNDED_COLUMNS
    yaml.explicit_start = text.lstrip().startswith("---")
    mapping = min(filter(None, indents), default=2)
    yaml.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    return yaml


def _section(root: Any, name: str) -> Any:
    if root.get(name) is None:
        root[name] = CommentedMap()
    return root[name]


def _in_one_line(names: Sequence[str]) -> CommentedSeq:
    listed = CommentedSeq(names)
    listed.fa.set_flow_style()
    return listed


def _not_editable(reason: str) -> Conflict:
    return Conflict(
        f"models.yaml cannot be changed for you: {reason}. Change it by hand.",
        code="models_file_not_editable",
    )
