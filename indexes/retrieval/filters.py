"""Compiles filters by metadata to SQL. Values are bound, never written into it.

`{"author": "Anna", "year": {"gte": 2020, "lt": 2024}, "tags": {"in": ["a", "b"]}}`: every field
named must hold. A field that is a list holds what one of its values holds. How fields are stored is
`storage.fields`' matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from config.errors import Invalid, nearest
from indexes.storage.fields import MAX_VALUE_CHARS, is_comparable, kind_of, to_sqlite

Where = Mapping[str, Any]

BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
"""Operators that compare, and SQL's signs for them."""
OPERATORS = ("eq", "not", "in", *BOUNDS, "glob", "exists")
BUILT_IN = {
    "source": "d.source",
    "title": "d.title",
    "media_type": "d.media_type",
    "updated_at": "d.updated_at",
    "folder": "nullif(d.origin, '')",
}
"""Fields of every document. One of its metadata that is called so is named `metadata.title`."""
PREFIX = "metadata."

MAX_FIELDS = 32
"""Each becomes a subquery."""
MAX_VALUES = 1000
"""Each becomes a bound value; SQLite takes 32,766 in a statement."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on `documents d` with the values that its marks stand for."""

    sql: str
    values: tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """What one value must fulfil: `{}` in `sql` stands for it. `kind` None: it need only exist."""

    kind: str | None
    sql: str
    values: tuple[str | int | float, ...] = ()
    negated: bool = False


def compile_filter(where: Where) -> Filter:
    """Compile a filter to a condition on `documents d`.

    Raises `Invalid` (`invalid_filter`) naming the field and, for an operator, the nearest.
    """
    if not isinstance(where, Mapping):
        raise _invalid("where", "must be an object: a value, or operators, for each field")
    if len(where) > MAX_FIELDS:
        raise _invalid("where", f"may name {MAX_FIELDS} fields at most")
    conditions = [
        _compile_test(str(field), test)
        for field, condition in where.items()
        for test in _build_tests(str(field), condition)
    ]
    values = tuple(value for each in conditions for value in each.values)
    return Filter(" AND ".join(each.sql for each in conditions) or "1", values)


def _compile_test(field: str, test: _Test) -> Filter:
    if column := BUILT_IN.get(field):
        sql, values = f"coalesce({test.sql.format(column)}, 0)", test.values
    else:
        # Of the index `d.index_id`, so that the rows of others are not gone through.
        kind = "f.kind = ?" if test.kind else "1"
        name = (field.removeprefix(PREFIX), *([test.kind] if test.kind else []))
        sql = (
            "d.key IN (SELECT f.document FROM fields f WHERE f.index_id = ?1 "
            f"AND f.name = ? AND {kind} AND {test.sql.format('f.value')})"
        )
        values = (*name, *test.values)
    return Filter(f"NOT {sql}" if test.negated else sql, values)


def _build_tests(field: str, condition: Any) -> Iterator[_Test]:
    operators = dict(condition) if isinstance(condition, Mapping) else {"eq": condition}
    if not operators:
        raise _invalid(field, f"needs an operator: {', '.join(OPERATORS)}")
    for operator in operators:
        if operator not in OPERATORS:
            hint = nearest(str(operator), OPERATORS)
            raise _invalid(field, f"has no operator '{operator}'. {hint}")
    bounds = {each: operators.pop(each) for each in BOUNDS if each in operators}
    if bounds:
        # Both bounds hold of one value, not each of some value.
        kind, values = _check_values(field, list(bounds.values()))
        if kind == "boolean":
            raise _invalid(field, "cannot be compared with true or false")
        yield _Test(kind, " AND ".join(f"{{0}} {BOUNDS[each]} ?" for each in bounds), values)
    for operator, value in operators.items():
        yield _build_test(field, operator, value)


def _build_test(field: str, operator: str, value: Any) -> _Test:
    if operator == "exists":
        if not isinstance(value, bool):
            raise _invalid(field, "'exists' takes true or false")
        return _Test(None, "{0} IS NOT NULL", negated=not value)
    if operator == "glob":
        if not isinstance(value, str):
            raise _invalid(field, "'glob' takes a text like 'guides/*'")
        return _Test(*_build_glob(field, value))
    if operator == "in" and not isinstance(value, list | tuple):
        raise _invalid(field, "'in' takes a list of values")
    kind, values = _check_values(field, value if isinstance(value, list | tuple) else [value])
    return _Test(kind, f"{{0}} IN ({','.join('?' * len(values))})", values, operator == "not")


def _build_glob(field: str, pattern: str) -> tuple[str, str, tuple[str]]:
    if field == "updated_at":
        raise _invalid(field, "is a time: compare it with gt, gte, lt or lte")
    _check(field, pattern)
    return "text", "{0} GLOB ?", (pattern,)


def _check_values(field: str, values: Sequence[Any]) -> tuple[str, tuple[str | int | float, ...]]:
    """Return the kind of values, and the values as SQLite compares them.

    Raises `Invalid` (`invalid_filter`) for values of several kinds, or of one that the field has
    not.
    """
    if len(values) > MAX_VALUES:
        raise _invalid(field, f"may be compared with {MAX_VALUES} values at most")
    if field == "updated_at":
        values = [_to_timestamp(field, value) for value in values]
    for value in values:
        _check(field, value)
    kinds = {kind_of(value) for value in values}
    if len(kinds) > 1:
        raise _invalid(
            field, f"is compared with values of several kinds: {', '.join(sorted(kinds))}"
        )
    if field in BUILT_IN and field != "updated_at" and kinds - {"text"}:
        raise _invalid(field, "is a text: compare it with a text")
    return (kinds or {"text"}).pop(), tuple(to_sqlite(value) for value in values)


def _to_timestamp(field: str, value: Any) -> Any:
    """Convert an ISO date to seconds since 1970; a date without a zone is UTC."""
    if not isinstance(value, str):
        return value
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        raise _invalid(field, "takes seconds since 1970 or an ISO date like 2024-05-31") from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _check(field: str, value: Any) -> None:
    if not isinstance(value, str | int | float):
        raise _invalid(
            field, "takes texts, numbers, true and false; 'exists' asks whether there is any"
        )
    if not is_comparable(value):
        raise _invalid(field, f"takes texts of {MAX_VALUE_CHARS} characters at most, and numbers")


def _invalid(field: str, message: str) -> Invalid:
    label = field.encode(errors="replace").decode()[:80]
    return Invalid(
        f"Filter '{label}': it {message}.".replace("..", "."),
        code="invalid_filter",
        details={"field": label if label == "where" else f"where.{label}"},
    )
