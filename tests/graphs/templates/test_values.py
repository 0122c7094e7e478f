"""Filters for dates, JSON, numbers and missing fields."""

from __future__ import annotations

from typing import Any

import pytest

from config.errors import Invalid
from graphs.templates.expressions import Expressions

EXPRESSIONS = Expressions()
VIEW: dict[str, Any] = {
    "record": {"title": "T", "none": None, "author": {"names": ["Ada", "B"]}, "a.b": 1, "1": "one"},
    "items": [{"n": 1}, {}],
    "nothing": None,
    "text": '{"a": [1, 2.5, null]}',
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ record | get('author.names.0') }}", "Ada"),
        ("{{ record | get('author.names.-1') }}", "B"),
        ("{{ record | get('author.names.7', 'nobody') }}", "nobody"),
        ("{{ record | get('editor.names.0', 'nobody') }}", "nobody"),
        ("{{ record | get('none', 'given') }}", "given"),
        ("{{ record | get('title.deeper', 'given') }}", "given"),
        ("{{ record | get(['a.b']) }}", 1),
        ("{{ record | get(1) }}", "one"),
        ("{{ record.editor | get('name', 'nobody') }}", "nobody"),
        ("{{ nothing | get('a', 0) }}", 0),
        ("{{ record | get('missing') }}", None),
        ("{{ record.missing | default('x') }}", "x"),
        ("{{ record.get('missing') }}", None),
        ("{{ text | from_json }}", {"a": [1, 2.5, None]}),
        ("{{ record | from_json | get('title') }}", "T"),
        ("{{ '2026-11-28' | date('%d.%m.%Y') }}", "28.11.2026"),
        ("{{ '2026-11-28T23:30:00Z' | date('%H:%M', 'Europe/Berlin') }}", "00:30"),
        ("{{ 0 | date }}", "1970-01-01"),
        ("{{ '2026-11-28T08:30' | date('100 %% %H') }}", "100 % 08"),
        ("{{ 1234.5 | number(2) }}", "1,234.50"),
        ("{{ 1234567 | number }}", "1,234,567"),
        ("{{ '1234.5' | number(1, '.', ',') }}", "1.234,5"),
        ("{{ -0.005 | number(2, '') }}", "0.00"),
        ("{{ -0.006 | number(2) }}", "-0.01"),
        ("{{ -1234 | number }}", "-1,234"),
        ("{{ '0001-02-03' | date }}", "0001-02-03"),
        ("{{ '0987-02-03' | date('%%Y %Y%Y') }}", "%Y 09870987"),
    ],
)
def test_filter_gives_the_value(source: str, value: Any) -> None:
    assert EXPRESSIONS.template(source).value(VIEW) == value


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("{{ 'tomorrow' | date }}", "is no date"),
        ("{{ (1e308 * 10) | json }}", "JSON has no infinite numbers"),
        ("{{ [1e308 * 10] | tojson(2) }}", "JSON has no infinite numbers"),
        ("text {{ {'a': -1e308 * 10} }}", "JSON has no infinite numbers"),
        ("text {{ ['nan' | float] }}", "JSON has no infinite numbers and no NaN. It reads"),
        ("{{ 0 | date('%H', 'GMT+2') }}", "the other way round. It reads"),
        ("{{ 0 | date('%H', 'Berlin') }}", r"Did you mean 'Europe/Berlin'\? It reads"),
        ("{{ none | date }}", "is no date"),
        ("{{ true | date }}", "is no date"),
        ("{{ 99999999999999999 | date }}", "no date"),
        ("{{ '9999-12-31T23:00Z' | date('%H', 'Asia/Tokyo') }}", "in the zone 'Asia/Tokyo'"),
        ("{{ 1e308 | number(2) }}", "is no number of at most 60 digits"),
        ("{{ 0 | date('%999999d') }}", "a format has"),
        ("{{ 0 | date('%Q') }}", "a format has"),
        ("{{ 0 | date('x' * 300) }}", "at most 200"),
        ("{{ 0 | date('%H', 'GMT+2:00') }}", "no time zone"),
        ("{{ 0 | date('%H', '../../etc/passwd') }}", "no time zone"),
        ("{{ 'NaN' | from_json }}", "not JSON"),
        ("{{ ('[' * 100000) | from_json }}", "nested too deeply|not JSON"),
        ("{{ '1e999999999' | number }}", "is no number"),
        ("{{ 'one' | number }}", "is no number"),
        ("{{ 'inf' | number }}", "is no number"),
        ("{{ 1 | number(1000) }}", "decimals"),
        ("{{ record.missing }}", "missing"),
    ],
)
def test_value_that_cannot_be_read_fails_in_words(source: str, word: str) -> None:
    with pytest.raises(Invalid, match=word) as caught:
        EXPRESSIONS.template(source).value(VIEW)

    assert caught.value.code == "expression_failed"
