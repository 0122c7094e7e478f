"""What the operations of templates cost: every filter, test and method, in steps.

Owns the tables; a filter that is missing here does not exist. Costs are spent before an operation
begins, so that one which is too large never does. Filters that yield their items later are counted
as they yield. Where a filter counts its own work, it costs only its call here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from itertools import repeat
from typing import Any

from config.steps import STEPS, spend
from graphs.templates.work import (
    CHARS_PER_STEP,
    SIZED,
    count_items,
    measure,
    spend_at_once,
)

Cost = Callable[..., int]
"""Returns the steps of a call beside those spent on measuring; takes the call's arguments."""

CALL_STEPS = 30


def _nothing(*values: Any) -> int:
    return 0


def _each(steps: int) -> Cost:
    """Cost so much for each item of the first argument."""
    return lambda value=None, *others: shallow(value) * steps


def _whole(rate: int) -> Cost:
    """Cost `rate` times as much as looking at all that the arguments hold."""
    return lambda *values: measure(*values) * rate


def _items(steps: int, rate: int) -> Cost:
    """Cost so much for each item, and `rate` times as much as looking at all of it."""
    return lambda value=None, *others: shallow(value) * steps + measure(value, *others) * rate


def _sorting(value: Any = None, *others: Any) -> int:
    """Cost what a sort compares in C, and reading each item's keys."""
    named = next((each for each in others if isinstance(each, str)), None)
    attributes = named.split(",") if named else []
    keys = [_key(item, name) for name in attributes for item in value] if attributes else [value]
    spend_at_once(measure(keys) * shallow(value).bit_length() // 2)
    return shallow(value) * 20 * (1 + len(attributes))


def _key(item: Any, attribute: str) -> Any:
    """Return what Jinja compares of an item; of what is no object, the whole."""
    for name in attribute.split("."):
        if not isinstance(item, Mapping):
            break
        item = item.get(name.strip())
    return item


def _path(value: Any = None, path: Any = "", *others: Any) -> int:
    return 10 * measure(path)


LAZY = frozenset(("items", "map", "reject", "rejectattr", "select", "selectattr"))
FILTER_COSTS: Mapping[str, Cost] = {
    **dict.fromkeys(("abs", "count", "d", "default", "first", "last", "length", "round"), _nothing),
    **dict.fromkeys(LAZY, _nothing),
    **dict.fromkeys(("chapters", "scenes", "spoken", "sentences", "standalone"), _whole(1)),
    **dict.fromkeys(("dictsort", "groupby", "max", "min", "sort", "unique"), _sorting),
    **dict.fromkeys(("capitalize", "lower", "string", "trim", "truncate", "upper"), _whole(5)),
    **dict.fromkeys(("list", "reverse", "sum"), _each(1)),
    **dict.fromkeys(("flatten", "pick", "recent"), _whole(1)),
    **dict.fromkeys(("json", "tojson"), _whole(2)),
    "cite": _items(50, 5),
    "date": lambda *values: 2000,
    "float": _whole(50),
    "from_json": _whole(20),
    "foreign": _whole(2),
    "fuse": _items(50, 1),
    "get": _path,
    "int": _whole(50),
    "join": _whole(3),
    "number": lambda *values: 100,
    "replace": _whole(20),
    "title": _whole(150),
    "unique_by": _items(100, 1),
    "wordcount": _whole(30),
    "_compare": _nothing,
    "_concat": _whole(5),
    "_each": _nothing,
    "_key": _whole(1),
    "_slice": _nothing,
}
"""Measured with `python -m benchmarks growth`. Those with `_` stand for parts of the language."""

WHOLE_TESTS = frozenset(("lower", "upper"))
"""Tests that write their value as text first. All others but comparisons look at one thing."""


def compare_cost(left: Any, right: Any) -> int:
    """Return the steps of comparing two values, beside those spent on measuring."""
    if isinstance(left, str) and isinstance(right, str):
        return min(len(left), len(right)) // CHARS_PER_STEP
    if shallow(left) and shallow(right):
        return measure(left)
    return 0


def contains_cost(item: Any, values: Any) -> int:
    """Return the steps of looking for an item, or for a text within another."""
    if isinstance(values, str):
        spend_at_once(_search_steps(len(values), shallow(item)))
        return 0
    if isinstance(values, dict | range):
        return measure(item)
    return shallow(values) * measure(item)


def method_cost(owner: Any, name: str, arguments: tuple[Any, ...]) -> int:
    """Return the steps of calling a method of a text, a list or an object."""
    argument_steps = measure(*arguments)
    if isinstance(owner, str):
        rate = 20 if name in ("title", "split", "rsplit", "splitlines") else 5
        steps = rate * (1 + len(owner) // CHARS_PER_STEP)
        texts = [each for each in _flat(arguments) if isinstance(each, str)]
        # These compare the whole text that is searched anew at each place.
        slow = name in ("rfind", "rsplit", "strip", "lstrip", "rstrip")
        for text in texts:
            spend_at_once(_search_steps(len(owner), len(text), len(text) if slow else 100))
        return steps
    if isinstance(owner, list):
        return len(owner) * argument_steps
    return 0


def shallow(value: Any) -> int:
    """Return how many characters or items a value has itself."""
    return len(value) if isinstance(value, (str, range, *SIZED)) else 0


def counted_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter so that it spends its cost. Raises `KeyError` for one without a cost."""
    cost, skipped = FILTER_COSTS[name], _passed(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        # Without a counter Jinja is compiling, and gives up folding constants by this error.
        STEPS.get().spend(CALL_STEPS)
        if name in LAZY:
            return count_items(function(*args, **kwargs))
        args = (*args[:skipped], *map(materialize, args[skipped:]))
        spend(cost(*args[skipped:], *kwargs.values()))
        return function(*args, **kwargs)

    return call


def counted_test(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a test so that it spends its cost."""
    skipped, comparisons = _passed(function), ("eq", "ne", "lt", "le", "gt", "ge")
    compares = getattr(function, "__name__", "") in comparisons

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        STEPS.get().spend(CALL_STEPS)
        args = (*args[:skipped], *map(materialize, args[skipped:]))
        values = (*args[skipped:], *kwargs.values())
        if name in WHOLE_TESTS:
            spend(5 * measure(*values))
        elif len(values) > 1:
            spend((compare_cost if compares else contains_cost)(*values[:2]))
        return function(*args, **kwargs)

    return call


def materialize(value: Any) -> Any:
    """Make a list of items that are yet to come, counting each."""
    return list(count_items(value)) if isinstance(value, Iterator) else value


def _search_steps(length: int, searched: int, anew: int = 100) -> int:
    """Bound the search for a text: of so many characters, each may be looked at at each place."""
    return 1 + length * min(searched, anew) // CHARS_PER_STEP


def _flat(values: tuple[Any, ...]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, tuple | list) else repeat(value, 1)


def _passed(function: Any) -> int:
    """Return how many arguments Jinja puts before a filter's own: its context, or none."""
    return int(hasattr(function, "jinja_pass_arg"))
