"""Patterns of schemas: matched in linear time, and none that costs more than it may."""

from __future__ import annotations

import pytest

from tools.json_schema.patterns import MAX_WEIGHT, Pattern, weigh
from tools.json_schema.schema import JsonSchema


@pytest.mark.parametrize(
    ("source", "text", "matches"),
    [
        (
            "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$",
            "0" * 8 + "-0000" * 3 + "-" + "0" * 12,
            True,
        ),
        ("b", "abc", True),
        ("^b", "abc", False),
        ("a$", "a\n", False),
        (r"^\d+$", "٣", True),
        ("^.$", "\ud800", False),
    ],
)
def test_a_pattern_is_found_anywhere_in_a_text(source: str, text: str, matches: bool) -> None:
    assert Pattern(source).matches(text) is matches


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("(?=a)b", "look-around"),
        (r"(a)\1", "backreferences"),
        ("[a", "unclosed"),
        ("a{5000}{5000}", "counts"),
        ("(a{200}){200}", "counts"),
        ("a" * 1001, "1000 characters"),
    ],
)
def test_a_pattern_that_is_not_linear_or_too_large_is_refused(source: str, says: str) -> None:
    for schema in ({"pattern": source}, {"items": {"patternProperties": {source: {}}}}):
        problem = JsonSchema(schema).problem() or ""
        assert "cannot be used" in problem
        assert says in problem


@pytest.mark.parametrize(
    ("source", "weight"),
    [("abc", 3), ("a{5}", 5), ("(ab{3}){4}c", 17), (r"\w{2,10}", 160), ("[a-z]", 16), ("a{3,}", 3)],
)
def test_the_weight_of_a_pattern_counts_repetitions_as_written_out(
    source: str, weight: int
) -> None:
    assert weigh(source) == weight
    assert weigh(f"({source}){{{MAX_WEIGHT}}}") > MAX_WEIGHT


def test_the_steps_of_a_match_grow_with_the_text() -> None:
    pattern = Pattern("[a-z]{10}$")

    assert pattern.steps("a" * 200_000) - 1 == 2 * (pattern.steps("a" * 100_000) - 1) > 0
