"""Jinja2's sandbox, narrowed until a hostile template can neither reach out nor blow up.

Owns what templates may do: only listed filters, methods and statements exist, and loops, products
and concatenations are counted. See `docs/decisions/0008-template-sandbox.md`. Invariant: what one
rendering may take in time and memory is bounded, whatever the template and the state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import BuiltinMethodType
from typing import Any

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateAssertionError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from langchain_core.messages import BaseMessage

MAX_TURNS = 20_000
"""Turns of all loops in one rendering."""
MAX_VALUE = 2 * 2**20
"""Characters or items of one value."""
MAX_EXPONENT = 1024
"""Bytes of the base times the exponent."""
MAX_INTEGER_BITS = 63
"""JSON and SQLite hold no larger whole numbers."""

RENDERING = "_rendering"
"""The variable by which filters reach the rendering; templates cannot name it."""
STATEMENTS = (nodes.Output, nodes.For, nodes.If, nodes.Assign)
FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int",
    "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
    "reverse", "round", "select", "selectattr", "sort", "string", "sum", "title", "trim", "unique",
    "upper", "wordcount",
)  # fmt: skip
METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        (
            *("capitalize", "lower", "title", "upper", "lstrip", "rstrip", "strip"),
            *("count", "endswith", "find", "rfind", "startswith"),
            *("isalpha", "isdigit", "isnumeric", "isspace"),
            *("removeprefix", "removesuffix", "rsplit", "split", "splitlines"),
        )
    ),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
}
MESSAGE_FIELDS = frozenset(("content", "id", "name", "text", "tool_calls", "type"))


@dataclass
class Rendering:
    """What the templates of one step have used up, and what they have cited."""

    turns: int = 0
    cited: list[tuple[str, list[Any]]] = field(default_factory=list)
    """Blocks of text, each with its passages; passages are numbered from 1 over all blocks."""

    @property
    def next_number(self) -> int:
        """The number of the next passage that is cited."""
        return sum(len(passages) for _, passages in self.cited) + 1

    def count_turn(self) -> None:
        """Count one turn of a loop. Raises `SecurityError` when there are too many."""
        self.turns += 1
        if self.turns > MAX_TURNS:
            raise SecurityError(f"more than {MAX_TURNS} turns of a loop")


class Sandbox(ImmutableSandboxedEnvironment):
    """The one environment in which templates and conditions run."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, filters: Mapping[str, Any]) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, finalize=write_value
        )
        self.globals = {"range": self.globals["range"]}
        own = {"join": _join, "replace": _replace, "_each": _each, "_concat": _concat}
        self.filters = {name: JINJA_FILTERS[name] for name in FILTERS} | own | dict(filters)

    def parse_checked(self, source: str) -> nodes.Template:
        """Parse a template so that its loops and concatenations are counted when it runs.

        Raises `TemplateSyntaxError`, also for statements that are not allowed.
        """
        tree = self.parse(source)
        _refuse_statements(tree.body)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = _filtered(loop.iter, "_each")
        for concat in list(tree.find_all(nodes.Concat)):
            concat.nodes = [_filtered(nodes.List(concat.nodes), "_concat")]
        tree.set_environment(self)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, BaseMessage):
            return self.getattr(obj, str(argument))
        return super().getitem(obj, argument)

    def wrap_str_format(self, value: Any) -> None:
        return None

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, BaseMessage):
            return attr in MESSAGE_FIELDS
        if type(obj).__module__ == "jinja2.runtime":
            return not attr.startswith("_")
        return any(attr in names for kind, names in METHODS.items() if isinstance(obj, kind))

    def is_safe_callable(self, obj: Any) -> bool:
        if obj is self.globals["range"]:
            return True
        return isinstance(obj, BuiltinMethodType) and self.is_safe_attribute(
            obj.__self__, obj.__name__, obj
        )

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            raise SecurityError("'%' does not format text here; write text around {{ }}")
        if operator == "**" and not _size(left) * _number(right) <= MAX_EXPONENT:
            raise SecurityError("a power that large")
        if operator in "**":
            _check_size(_product_size(left, right))
        if operator == "+":
            _check_size(_size(left) + _size(right))
        return super().call_binop(context, operator, left, right)


def write_value(value: Any) -> Any:
    """Write a value inside text: null is nothing, lists and objects are JSON."""
    if value is None:
        return ""
    if isinstance(value, bool | list | dict | tuple):
        check_total(value)
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


def plain(value: Any) -> Any:
    """Turn a template's value into JSON-like data: iterators and views become lists."""
    whole = isinstance(value, list | dict | str | Undefined | BaseMessage)
    if not whole and isinstance(value, Iterable):
        items = []
        for item in value:
            items.append(plain(item))
            _check_size(len(items))
        return items
    check_total(value)
    return value


def check_total(value: Any) -> None:
    """Refuse a value that is larger written out than in memory, where lists may share parts."""
    total, pending = 0, [value]
    while pending:
        item = pending.pop()
        total += len(item) + 1 if isinstance(item, str | list | tuple | dict) else 1
        _check_size(total)
        if isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list | tuple):
            pending += item
        else:
            _check_scalar(item)


def _check_scalar(value: Any) -> None:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise SecurityError("a whole number of more than 64 bits")
    if value is not None and not isinstance(value, str | int | float | BaseMessage):
        raise SecurityError(f"a {type(value).__name__} is no value for a channel")


def _refuse_statements(body: list[nodes.Node]) -> None:
    for node in body:
        if not isinstance(node, STATEMENTS) or (isinstance(node, nodes.For) and node.recursive):
            name = type(node).__name__.lower()
            raise TemplateAssertionError(
                f"the statement '{name}' is not allowed; there are if, for and set", node.lineno
            )
        if isinstance(node, nodes.For | nodes.If):
            _refuse_statements(node.body)
            _refuse_statements(node.else_)
        if isinstance(node, nodes.If):
            _refuse_statements(list(node.elif_))


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@pass_context
def _each(context: Context, values: Any) -> Iterator[Any]:
    # len() must go on working: `loop.length` and `loop.last` ask for it.
    rendering: Rendering = context[RENDERING]
    items = values if isinstance(values, list | tuple | dict | str) else list(plain(values))
    for _ in items:
        rendering.count_turn()
    return iter(items) if isinstance(items, dict) else items  # type: ignore[return-value]


def _concat(parts: list[Any]) -> str:
    texts = [str(part) for part in parts]
    _check_size(sum(map(len, texts)))
    return "".join(texts)


def _join(values: Any, separator: str = "", attribute: str | None = None) -> str:
    texts = [
        str(value[attribute] if attribute and isinstance(value, Mapping) else value)
        for value in plain(values)
    ]
    _check_size(sum(map(len, texts)) + len(separator) * len(texts))
    return str(separator).join(texts)


def _replace(text: Any, old: str, new: str) -> str:
    source = str(text)
    _check_size(len(source) + source.count(old) * len(new))
    return source.replace(old, new)


def _number(value: Any) -> float:
    return abs(value) if isinstance(value, int | float) else float("inf")


def _size(value: Any) -> int:
    if isinstance(value, str | list | tuple | dict):
        return len(value)
    return value.bit_length() // 8 + 1 if isinstance(value, int) else 1


def _product_size(left: Any, right: Any) -> int:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | list | tuple) and isinstance(times, int):
            return len(sequence) * times
    return _size(left) + _size(right)


def _check_size(size: int) -> None:
    if size > MAX_VALUE:
        raise SecurityError(f"a value larger than {MAX_VALUE} characters or items")
