"""Jinja2's sandbox, narrowed until a hostile template can neither reach out nor blow up.

Owns what templates may do: only listed filters, methods and statements exist, and each of them
spends steps for its work. `costs` has their costs, `operators` the parts of the language that are
rewritten. See `docs/decisions/0008-template-sandbox.md`. Invariant: what one evaluation may take
in time and memory is bounded, whatever the template and the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import BuiltinMethodType
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError, TemplateAssertionError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from langchain_core.messages import BaseMessage

from config.steps import spend
from graphs.templates.costs import (
    CALL_STEPS,
    counted_filter,
    counted_test,
    materialize,
    method_cost,
    shallow,
)
from graphs.templates.operators import LANGUAGE, CountingTransformer
from graphs.templates.plain import check_size, write_value
from graphs.templates.work import measure

MAX_EXPONENT = 1024
"""Bytes of the base times the exponent."""
MAX_WORKING_BITS = 16 * MAX_EXPONENT
"""Of a whole number on the way to a result."""
LOOKUP_STEPS = 5

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


class Sandbox(ImmutableSandboxedEnvironment):
    """The one environment in which templates and conditions run."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "**", "%"))

    def __init__(self, filters: Mapping[str, Any]) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, finalize=write_value
        )
        self.globals = {"range": self.globals["range"]}
        known = {name: JINJA_FILTERS[name] for name in FILTERS} | {**LANGUAGE, **filters}
        self.filters = {name: counted_filter(name, known[name]) for name in known}
        tests: Mapping[str, Any] = JINJA_TESTS
        self.tests = {name: counted_test(name, tests[name]) for name in tests}

    def parse_checked(self, source: str) -> nodes.Template:
        """Parse a template so that its work is counted when it runs.

        Raises `TemplateSyntaxError`, also for statements that are not allowed.
        """
        tree = self.parse(source)
        _refuse_statements(tree.body)
        CountingTransformer().visit(tree)
        tree.set_environment(self)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        spend(LOOKUP_STEPS)
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        spend(LOOKUP_STEPS)
        if isinstance(argument, tuple):
            measure(argument)
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

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:
        args = tuple(map(materialize, args))
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        spend(CALL_STEPS + method_cost(owner, name, (*args, *kwargs.values())))
        return super().call(context, function, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        spend(LOOKUP_STEPS)
        if operator == "%" and isinstance(left, str):
            raise SecurityError("'%' does not format text here; write text around {{ }}")
        if operator == "**" and not _size(left) * _number(right) <= MAX_EXPONENT:
            raise SecurityError("a power that large")
        if operator in "+**":
            size = _size(left) + _size(right) if operator == "+" else _product_size(left, right)
            check_size(size)
            spend(size // 8)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and result.bit_length() > MAX_WORKING_BITS:
            raise SecurityError("a whole number that large")
        return result


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


def _number(value: Any) -> float:
    return abs(value) if isinstance(value, int | float) else float("inf")


def _size(value: Any) -> int:
    return value.bit_length() // 8 + 1 if isinstance(value, int) else shallow(value) or 1


def _product_size(left: Any, right: Any) -> int:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | list | tuple) and isinstance(times, int):
            return len(sequence) * times
    return _size(left) + _size(right)
