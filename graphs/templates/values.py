"""Filters for single values: dates, JSON, numbers, and fields that may be missing.

Each touches its value once, and refuses what it cannot read with `ValueError`, in words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Undefined

from config.zone_hints import propose_zone

MAX_FORMAT_CHARS = 200
MAX_DECIMALS = 20
MAX_NUMBER_CHARS = 60
DIRECTIVES = re.compile(r"%(?:[aAbBdHIjmMpSUVyYzZfGu%])")
"""Of `strftime`. Others, and those with a width, mean different things on different systems."""

DIRECTIVE = re.compile("%.")


def write_date(value: Any, format: str = "%Y-%m-%d", zone: str = "") -> str:
    """Write a date or a time: ISO 8601 text, or seconds since 1970 (in UTC)."""
    if len(format) > MAX_FORMAT_CHARS:
        raise ValueError(f"a format of a date has at most {MAX_FORMAT_CHARS} characters")
    if "%" in DIRECTIVES.sub("", format):
        raise ValueError("a format has %Y %m %d %H %M %S %j %a %A %b %B %I %p %y %f %z %Z %U %V %%")
    when = _read_date(value)
    if zone:
        # A time without a zone is one of UTC, as Motet writes its own.
        when = _move(when if when.tzinfo else when.replace(tzinfo=UTC), zone)
    # The platforms differ in how they write years before 1000.
    year = f"{when.year:04d}"
    return when.strftime(DIRECTIVE.sub(lambda each: year if each[0] == "%Y" else each[0], format))


def _read_date(value: Any) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(f"{value} seconds since 1970 are no date") from error
    text = value if isinstance(value, str) else ""
    try:
        return datetime.fromisoformat(text.strip()[:MAX_NUMBER_CHARS])
    except ValueError as error:
        shown = repr(value)[:80]
        raise ValueError(f"{shown} is no date; 2026-11-28 and 2026-11-28T08:30 are") from error


def _move(when: datetime, zone: str) -> datetime:
    try:
        return when.astimezone(_zone(zone))
    except OverflowError as error:
        raise ValueError(f"{when.isoformat()} is no date any more in the zone '{zone}'") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone '{name[:80]}'. {propose_zone(name)}") from error


def read_json(text: Any) -> Any:
    """Read JSON text; a value that is none stands for itself."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"this is not JSON: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number that JSON has")


def write_number(
    value: Any, decimals: int | None = None, thousands: str = ",", point: str = "."
) -> str:
    """Write a number, or a text that is one, for people: `1,234.50` with `number(2)`."""
    if decimals is not None and not 0 <= decimals <= MAX_DECIMALS:
        raise ValueError(f"a number is written with 0 to {MAX_DECIMALS} decimals")
    number = _read_number(value)
    # With `z`, what rounds to zero has no sign.
    shown = f"{number:z,.{decimals}f}" if decimals is not None else f"{number:z,f}"
    whole, dot, fraction = shown.partition(".")
    return f"{whole.replace(',', str(thousands)[:8])}{str(point)[:8] if dot else ''}{fraction}"


def _read_number(value: Any) -> Decimal:
    number = Decimal("NaN")
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        text = str(value).strip()
        if len(text) <= MAX_NUMBER_CHARS:
            with suppress(InvalidOperation):
                number = Decimal(text)
    # Written out, 1e999999999 is a text of a billion digits.
    if not number.is_finite():
        raise ValueError(f"{repr(value)[:80]} is no number")
    if abs(number.adjusted()) > MAX_NUMBER_CHARS:
        raise ValueError(f"{repr(value)[:80]} is no number of at most {MAX_NUMBER_CHARS} digits")
    return number


def get(value: Any, path: Any, default: Any = None) -> Any:
    """Take what stands at a path such as `author.names.0`; `default` where anything is missing.

    `path` is a text with points, one number, or a list of keys and numbers.
    """
    keys = path if isinstance(path, list | tuple) else str(path).split(".")
    for key in keys:
        if isinstance(value, Undefined):
            return default
        if isinstance(value, Mapping) and (key in value or str(key) in value):
            value = value[key] if key in value else value[str(key)]
        elif isinstance(value, list | tuple) and (number := _position(key, len(value))) is not None:
            value = value[number]
        else:
            return default
    return default if value is None or isinstance(value, Undefined) else value


def _position(key: Any, length: int) -> int | None:
    text = str(key)
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        return None
    number = int(text)
    return number if -length <= number < length else None
