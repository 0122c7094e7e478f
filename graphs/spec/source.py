"""YAML text to plain values and their positions in the file, safe and bounded.

Owns what YAML means here: `yes`, `on` and dates are text, tags are refused. Invariant: whatever a
text holds, reading it takes bounded time and memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from graphs.spec.problems import Path, Problems

MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000
"""Of one file, those that aliases repeat included."""
MAX_DEPTH = 32
TAG = "tag:yaml.org,2002:"
TAGS = frozenset(("str", "int", "float", "bool", "null", "seq", "map"))


class _Loader(yaml.SafeLoader):
    """Reads `yes`, `no`, `on`, `off` and dates as text, as YAML 1.2 and most authors do."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.split(":")[-1] in ("int", "null")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{TAG}bool", re.compile("^(?:true|True|false|False)$"), list("tTfF"))
_Loader.add_implicit_resolver(
    f"{TAG}float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


@dataclass
class ParsedYaml:
    """A file's values, and its problems object, which knows the line and column of each."""

    value: Any
    problems: Problems


def read_source(text: str | bytes, file: str | None = None) -> ParsedYaml:
    """Parse one YAML document. Raises `Invalid(code="invalid_agent")` naming line and column.

    Aliases may repeat a value, but not blow it up: size, count and depth are bounded.
    """
    problems = Problems(file)
    root = _compose(text, problems)
    problems.check()
    marks: dict[Path, tuple[int, int]] = {}
    problems.marks = marks
    value = _Reader(problems, marks).read(root, ()) if root is not None else {}
    problems.check()
    return ParsedYaml(value, problems)


def _compose(text: str | bytes, problems: Problems) -> yaml.Node | None:
    size = len(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        problems.add((), f"the file has {size} bytes; at most {MAX_BYTES} are read.")
        return None
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        node: yaml.Node | None = yaml.compose(decoded, Loader=_Loader)
        return node
    except UnicodeDecodeError as error:
        problems.add((), f"byte {error.start} is not UTF-8 text.")
    except RecursionError:
        problems.add((), f"values are nested too deeply; at most {MAX_DEPTH} levels are read.")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.marks = {(): (mark.line + 1, mark.column + 1)} if mark else {}
        problems.add((), f"this is not YAML: {error.problem or error.context}.")
    except (yaml.YAMLError, ValueError) as error:
        problems.add((), f"this is not YAML: {error}.")
    return None


@dataclass
class _Reader:
    problems: Problems
    marks: dict[Path, tuple[int, int]]
    count: int = 0
    constructor: SafeConstructor = field(default_factory=SafeConstructor)

    def read(self, node: yaml.Node, path: Path) -> Any:
        # The text of a block begins on the line after its sign.
        block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        self.marks[path] = (node.start_mark.line + 1 + block, node.start_mark.column + 1)
        self.count += 1
        if len(path) > MAX_DEPTH or self.count > MAX_VALUES:
            self.problems.add(path[:MAX_DEPTH], "there are too many values, or too deep ones.")
            self.problems.check()
        if node.tag.removeprefix(TAG) not in TAGS:
            self.problems.add(path, f"the YAML tag '{node.tag}' is not allowed.")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            at = (*path, key)
            mark = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not key:
                self.problems.add(path, "a name must be plain text.")
                continue
            if key in values:
                self.marks[at] = mark
                self.problems.add(at, f"'{key}' is given twice.")
                continue
            values[key] = self.read(value_node, at)
            # A problem with a list or an object is shown at its key, not at its first line.
            if not isinstance(value_node, yaml.ScalarNode):
                self.marks[at] = mark
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        kind = node.tag.removeprefix(TAG)
        if kind == "str":
            return node.value
        try:
            if kind == "int":
                return self.constructor.construct_yaml_int(node)
            if kind == "float":
                return self.constructor.construct_yaml_float(node)
        except ValueError:
            return node.value
        if kind == "bool":
            return node.value.lower() == "true"
        return None
