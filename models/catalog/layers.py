"""YAML files laid over one another, which still know the line of each value.

Reads files; what their values mean is `catalog.file`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from config.errors import Invalid
from config.file_faults import FileFault, file_error
from config.files import read_file
from config.yaml_reader import YamlDocument, drop_all_extensions, read_yaml

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys that lead to a value."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A mapping out of a file. `prefix` are the keys that lead to it, as in "environments.x".

    `document` is the whole file, which knows the line of each value.
    """

    file: Path
    data: dict[str, Any]
    document: YamlDocument
    prefix: tuple[str, ...] = ()

    def line(self, path: KeyPath) -> int | None:
        """Return the line of the innermost key of `path` that is here; None without the first."""
        line = self.document.line((*self.prefix, *path))
        return line if self.depth(path[:1]) else None

    def depth(self, path: KeyPath) -> int:
        """Count the keys of `path` that are here."""
        node: Any = self.data
        for depth, key in enumerate(path):
            node = _value(node, key)
            if node is None:
                return depth
        return len(path)

    def inner(self, path: tuple[str, ...]) -> Layer | None:
        """Return the mapping at `path` as a layer of its own; None where there is none."""
        data: Any = self.data
        for key in path:
            data = _value(data, key)
        if not isinstance(data, dict):
            return None
        return Layer(self.file, data, self.document, path)

    def fault(self, path: KeyPath, message: str) -> FileFault:
        """Return what is wrong with a value of this layer."""
        field = ".".join(map(str, (*self.prefix, *path)))
        return FileFault(self.file, self.line(path), field, message)


def read_layer(file: Path) -> Layer:
    """Read a whole file; blocks. Raises `Invalid` where it is no YAML that holds a mapping."""
    try:
        document = read_yaml(read_file(file))
    except OSError as error:
        raise invalid([FileFault(file, None, "", f"cannot be read: {error.strerror}")]) from error
    if document.faults:
        raise invalid(FileFault(file, *fault) for fault in document.located_faults())
    data = {} if document.value is None else document.value
    if not isinstance(data, dict):
        message = "must hold sections such as `models:` and `roles:`"
        raise invalid([FileFault(file, 1, "", message)])
    return Layer(file, drop_all_extensions(data), document)


def add_sections(layer: Layer, sections: Sequence[str]) -> Layer:
    """Return the layer with each of these sections, empty where it lacks one.

    Raises `Invalid` for those that are no mapping.
    """
    data = dict(layer.data)
    faults = []
    for section in sections:
        if data.get(section) is None:
            data[section] = {}
        elif not isinstance(data[section], dict):
            faults.append(layer.fault((section,), "must hold names with their values"))
    if faults:
        raise invalid(faults)
    return Layer(layer.file, data, layer.document, layer.prefix)


def merge(layers: Sequence[Layer]) -> dict[str, Any]:
    """Lay all layers over one another, the last on top.

    Sections and entries are merged, anything deeper is replaced.
    """
    whole: dict[str, Any] = {}
    for layer in layers:
        for section, value in layer.data.items():
            whole[section] = _over(whole.get(section), value, 2)
    return whole


def fault_at(layers: Sequence[Layer], path: KeyPath, message: str) -> FileFault:
    """Return what is wrong, placed in the last of the layers that hold the most of `path`."""
    last = max(reversed(layers), key=lambda layer: layer.depth(path))
    return last.fault(path, message)


def invalid(faults: Iterable[FileFault]) -> Invalid:
    """Build the error of all that is wrong in models.yaml (`invalid_models_file`)."""
    return file_error(faults, code="invalid_models_file")


def _over(below: Any, above: Any, depth: int) -> Any:
    if depth == 0 or not (isinstance(below, dict) and isinstance(above, dict)):
        # A copy, so that nobody who completes the whole changes a layer.
        return dict(above) if isinstance(above, dict) else above
    keys = {**below, **above}
    return {key: _over(below.get(key), above.get(key, below.get(key)), depth - 1) for key in keys}


def _value(node: Any, key: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list) and isinstance(key, int) and key < len(node):
        return node[key]
    return None
