"""YAML text to plain values and their positions: one dialect for every file that people write.

Owns the reading: the scalars are those of `config.yaml_schema`, mappings have merge keys, keys are
the text that stands in the file, and tags of other kinds are refused. Which error a fault
becomes is the caller's choice. Invariant: whatever a text holds, reading it takes bounded time,
memory and depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
from yaml.reader import ReaderError

from config.yaml_faults import end_position, word_syntax_error
from config.yaml_schema import CORE_SCALARS, KINDS, MERGE, SCALARS, TAG, CoreLoader

MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000
"""Of one file, those that aliases and merge keys repeat included."""
MAX_DEPTH = 32
EXTENSION = "x-"
"""How keys begin that stand in a file for its author alone, to be named by aliases."""

Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a value."""
Marks: TypeAlias = Mapping[Path, tuple[int, int]]
"""Line and column, both from 1, of every value in a file by its path."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, at the path where it stands."""

    path: Path
    message: str


@dataclass(frozen=True)
class YamlDocument:
    """What a text holds: its value, the position of each part, and everything that is wrong."""

    value: Any
    marks: Marks
    faults: tuple[Fault, ...] = ()

    def line(self, path: Path) -> int | None:
        """Return the line of the innermost part of a path that the file has; None without any."""
        for length in range(len(path), 0, -1):
            if mark := self.marks.get(path[:length]):
                return mark[0]
        return None

    @property
    def first_fault(self) -> tuple[int | None, str, str] | None:
        """Line, path as text and message of the first fault in the file."""
        located = [(self._position(fault.path), fault) for fault in self.faults]
        if not located:
            return None
        position, fault = min(located, key=lambda each: each[0] or (0, 0))
        return position[0] if position else None, ".".join(map(str, fault.path)), fault.message

    def located_faults(self) -> Iterator[tuple[int | None, str, str]]:
        """Yield line, path as text and message of everything that is wrong."""
        for fault in self.faults:
            position = self._position(fault.path)
            yield position[0] if position else None, ".".join(map(str, fault.path)), fault.message

    def _position(self, path: Path) -> tuple[int, int] | None:
        return next(
            (self.marks[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.marks), None
        )


def read_yaml(
    text: str | bytes, *, max_bytes: int = MAX_BYTES, max_values: int = MAX_VALUES
) -> YamlDocument:
    """Read one YAML document; what is wrong with it stands in `faults`. An empty one is null."""
    size = len(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        return _refuse(f"the file has {size} bytes; at most {max_bytes} are read.")
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        if position := _find_excess(decoded, max_values):
            return _refuse(
                f"there are too many values, or they are nested too deeply; at most {max_values} "
                f"values and {MAX_DEPTH} levels are read.",
                position,
            )
        root: yaml.Node | None = yaml.compose(decoded, Loader=CoreLoader)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        return _refuse(
            f"byte {error.start} is not UTF-8 text. Save the file as UTF-8.", end_position(before)
        )
    except yaml.MarkedYAMLError as error:
        return _refuse(*word_syntax_error(error, decoded))
    except ReaderError as error:
        message = f"the character #x{error.character:04x} cannot stand in YAML."
        before, _, _ = decoded.partition(chr(error.character))
        return _refuse(f"this is not YAML: {message}", end_position(before))
    except UnicodeEncodeError as error:
        message = "half a character (a lone surrogate) cannot stand in YAML."
        return _refuse(f"this is not YAML: {message}", end_position(error.object[: error.start]))
    except (yaml.YAMLError, ValueError) as error:
        return _refuse(f"this is not YAML: {error}.")
    if root is None:
        return YamlDocument(None, {})
    reader = _Reader(max_values)
    try:
        value = reader.read(root, ())
    except _TooLarge as error:
        reader.faults.append(Fault(error.path[:3], "there are too many values, or too deep ones."))
        value = None
    return YamlDocument(value, reader.marks, tuple(reader.faults))


def drop_extensions(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping without its `x-` keys."""
    return {key: value for key, value in values.items() if not str(key).startswith(EXTENSION)}


def drop_all_extensions(value: Any) -> Any:
    """Return a value without the `x-` keys of all its mappings; for files without free data."""
    if isinstance(value, dict):
        return {key: drop_all_extensions(item) for key, item in drop_extensions(value).items()}
    return [drop_all_extensions(item) for item in value] if isinstance(value, list) else value


def _refuse(message: str, position: tuple[int, int] | None = None) -> YamlDocument:
    return YamlDocument(None, {(): position} if position else {}, (Fault((), message),))


def _find_excess(text: str, max_values: int) -> tuple[int, int] | None:
    """Find where a text goes past the bounds: composing recurses, a stream of events does not."""
    depth = count = 0
    for event in yaml.parse(text, Loader=CoreLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        count += isinstance(event, yaml.NodeEvent)
        # Keys are events too; the reader counts values alone.
        if depth > MAX_DEPTH or count > 2 * max_values:
            mark = event.start_mark
            return (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return None


class _TooLarge(Exception):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path[:MAX_DEPTH]


@dataclass
class _Reader:
    max_values: int
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    count: int = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        # The text of a block begins on the line after its sign.
        block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        self.marks[path] = (node.start_mark.line + 1 + block, node.start_mark.column + 1)
        self._count(path)
        if not isinstance(node, KINDS.get(node.tag, ())):
            return self._fault(
                path, f"the YAML tag '{node.tag[:80]}' is not allowed here. Leave it out."
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(
        self, node: yaml.MappingNode, path: Path, merging: tuple[yaml.Node, ...] = ()
    ) -> dict[str, Any]:
        """Read a mapping: its own keys, and before them those that `<<` brings.

        `merging` are the mappings on the way here, of which none may bring itself.
        """
        if len(merging) > MAX_DEPTH or node in merging:
            raise _TooLarge(path)
        values: dict[str, Any] = {}
        sources: yaml.Node | None = None
        for key_node, value_node in node.value:
            if (key := self._key(key_node, path)) is None:
                continue
            at = (*path, key)
            mark = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in values or (key_node.tag == MERGE and sources is not None):
                self.marks[at] = mark
                self._fault(at, f"'{key}' is given twice.")
            elif key_node.tag == MERGE:
                sources = value_node
            else:
                values[key] = self.read(value_node, at)
                # A problem with a list or an object is shown at its key, not at its first line.
                if not isinstance(value_node, yaml.ScalarNode):
                    self.marks[at] = mark
        merged = self._merged(sources, path, (*merging, node)) if sources is not None else {}
        return {**merged, **values}

    def _merged(
        self, sources: yaml.Node, path: Path, merging: tuple[yaml.Node, ...]
    ) -> dict[str, Any]:
        """Read what `<<` names: one mapping, or several of which the first stands before."""
        several = isinstance(sources, yaml.SequenceNode)
        values: dict[str, Any] = {}
        for source in sources.value if several else [sources]:
            self._count(path)
            if not isinstance(source, yaml.MappingNode):
                self._fault(
                    (*path, "<<"), "takes a mapping, or a list of mappings, as in `<<: *name`."
                )
                continue
            values = {**self._mapping(source, path, merging), **values}
        return values

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        plain = isinstance(node, yaml.ScalarNode) and node.tag in KINDS
        key = str(node.value) if plain else ""
        if not key:
            self.faults.append(
                Fault(
                    path, 'a name must be plain text; a template, as in "{{ name }}", needs quotes.'
                )
            )
        return key or None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = str(node.value)
        if node.tag not in CORE_SCALARS:
            return text
        if not CORE_SCALARS[node.tag][0].match(text):
            return self._fault(path, f"'{text[:80]}' is no {node.tag.removeprefix(TAG)}.")
        try:
            return SCALARS[node.tag](text)
        except ValueError as error:
            return self._fault(path, str(error))

    def _count(self, path: Path) -> None:
        self.count += 1
        if len(path) > MAX_DEPTH or self.count > self.max_values:
            raise _TooLarge(path)

    def _fault(self, path: Path, message: str) -> None:
        self.faults.append(Fault(path, message))
