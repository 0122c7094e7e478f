"""The parts of the template language that Jinja leaves to Python, as filters that are counted.

Owns the rewriting of a template's syntax tree: loops, comparisons, slices, keys and `~` become
calls of filters, whose names begin with `_` so that templates cannot use them. Also the filters of
Jinja's own that would not be bounded: `join`, `replace`, `sum`, `round`, `int` and `float`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from config.steps import spend
from graphs.templates.costs import compare_cost, contains_cost, materialize, shallow
from graphs.templates.plain import check_size, plain
from graphs.templates.rendering import RENDERING

OUTPUT_STEPS = 10
"""Of each value that a loop writes; other parts of an expression are a step."""
MAX_NUMBER_CHARS = 4000
"""Of a text that is read as a number."""
MAX_PRECISION = 30
COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda item, values: item in values,
    "notin": lambda item, values: item not in values,
}


class CountingTransformer(NodeTransformer):
    """Rewrites a template so that what it does is counted as it runs."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        weight = nodes.Const(_weigh(node), lineno=node.lineno)
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_each", [weight])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_concat", [])

    def visit_Compare(self, node: nodes.Compare) -> nodes.Filter:
        self.generic_visit(node)
        pairs = [(nodes.Const(each.op, lineno=node.lineno), each.expr) for each in node.ops]
        return _filtered(node.expr, "_compare", [part for pair in pairs for part in pair])

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        ends = (node.arg.start, node.arg.stop, node.arg.step)
        bounds = [nodes.Const(None, lineno=node.lineno) if end is None else end for end in ends]
        return _filtered(node.node, "_slice", bounds)

    def visit_Pair(self, node: nodes.Pair) -> nodes.Pair:
        self.generic_visit(node)
        if not isinstance(node.key, nodes.Const):
            node.key = _filtered(node.key, "_key", [])
        return node


def _filtered(node: Any, name: str, args: list[Any]) -> nodes.Filter:
    return nodes.Filter(node, name, args, [], None, None, lineno=node.lineno)


def _weigh(loop: nodes.For) -> int:
    """Count what one turn of a loop does; turns of a loop within it are counted there."""
    weight, pending = 1, [*loop.body, *([loop.test] if loop.test else [])]
    while pending:
        node = pending.pop()
        weight += OUTPUT_STEPS * len(node.nodes) if isinstance(node, nodes.Output) else 1
        inner = [node.iter] if isinstance(node, nodes.For) else node.iter_child_nodes()
        pending += inner
    return weight


@pass_context
def each(context: Context, values: Any, weight: int) -> Any:
    # len() must go on working: `loop.length` and `loop.last` ask for it.
    items = values if isinstance(values, list | tuple | dict | str | range) else plain(values)
    context[RENDERING].count_turns(len(items))
    spend(len(items) * weight)
    return iter(items) if isinstance(items, dict) else items


def concat(parts: list[Any]) -> str:
    texts = [str(part) for part in parts]
    check_size(sum(map(len, texts)))
    return "".join(texts)


def compare(left: Any, *rest: Any) -> bool:
    """Compare values as `a < b < c` does; `rest` is operators and values in turns."""
    left = materialize(left)
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        right = materialize(value)
        spend((contains_cost if name in ("in", "notin") else compare_cost)(left, right))
        if not COMPARE[name](left, right):
            return False
        left = right
    return True


def slice_(value: Any, start: Any, stop: Any, step: Any) -> Any:
    bounds = slice(start, stop, step)
    spend(len(range(*bounds.indices(shallow(value)))) // 8)
    return value[bounds]


def key(value: Any) -> Any:
    return value


def join(values: Any, separator: str = "", attribute: str | None = None) -> str:
    texts = [
        str(value[attribute] if attribute and isinstance(value, Mapping) else value)
        for value in plain(values)
    ]
    check_size(sum(map(len, texts)) + len(separator) * len(texts))
    return str(separator).join(texts)


def replace(text: Any, old: str, new: str) -> str:
    source = str(text)
    spend(contains_cost(old, source))
    size = len(source) + source.count(old) * len(new)
    check_size(size)
    spend(size // 32)
    return source.replace(old, new)


@pass_context
def sum_(context: Context, values: Any, attribute: Any = None, start: Any = 0) -> Any:
    def add(left: Any, right: Any) -> Any:
        return context.environment.call_binop(context, "+", left, right)  # type: ignore[attr-defined]

    items: Iterator[Any] = iter(values)
    if attribute is not None:
        items = map(make_attrgetter(context.environment, attribute), items)
    return reduce(add, items, start)


def round_(value: Any, precision: int = 0, method: Any = "common") -> Any:
    if not -MAX_PRECISION <= precision <= MAX_PRECISION:
        raise SecurityError(f"rounding to more than {MAX_PRECISION} places")
    return JINJA_FILTERS["round"](value, precision, method)


def int_(value: Any, default: Any = 0, base: int = 10) -> Any:
    return JINJA_FILTERS["int"](_short(value), default, base)


def float_(value: Any, default: Any = 0.0) -> Any:
    return JINJA_FILTERS["float"](_short(value), default)


def _short(value: Any) -> Any:
    """Return a text that may be a number; of a longer one its begin is as good: it is none."""
    return "" if isinstance(value, str) and len(value) > MAX_NUMBER_CHARS else value


LANGUAGE: Mapping[str, Callable[..., Any]] = {
    "_compare": compare,
    "_concat": concat,
    "_each": each,
    "_key": key,
    "_slice": slice_,
    "float": float_,
    "int": int_,
    "join": join,
    "replace": replace,
    "round": round_,
    "sum": sum_,
}
"""Filters that stand for parts of the language, and those that stand in for Jinja's own."""
