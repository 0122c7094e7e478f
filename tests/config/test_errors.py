"""Errors: families with codes, and names that are proposed."""

from __future__ import annotations

import pytest

from config.errors import (
    Busy,
    Cancelled,
    Conflict,
    Invalid,
    MotetError,
    NotFound,
    TimedOut,
    Unavailable,
    nearest,
)

FAMILIES = (Invalid, NotFound, Conflict, Busy, Unavailable, TimedOut, Cancelled)


def test_error_families_are_named() -> None:
    assert len({family.family for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        error = family("It is so.")
        assert isinstance(error, MotetError)
        assert (str(error), error.code) == ("It is so.", family.default_code)


def test_an_error_as_json_holds_what_it_has() -> None:
    assert Invalid("No.").as_dict() == {
        "code": "invalid_request",
        "family": "invalid",
        "message": "No.",
    }
    full = Busy("Later.", code="too_many_runs", details={"field": "x"}, retry_after_s=0.5)
    assert full.as_dict() == {
        "code": "too_many_runs",
        "family": "busy",
        "message": "Later.",
        "details": {"field": "x"},
        "retry_after_s": 0.5,
    }


def test_details_are_the_errors_own() -> None:
    given = {"field": "x"}
    error = Invalid("No.", details=given)
    given["field"] = "y"
    assert error.details == {"field": "x"}


@pytest.mark.parametrize(
    ("name", "valid", "sentence"),
    [
        ("quikc", ["quick", "slow"], "Did you mean 'quick'?"),
        ("zzz", ["slow", "quick"], "Known: quick, slow."),
        ("zzz", [], "There are none yet."),
        ("retrive", {"retrieve": 1}, "Did you mean 'retrieve'?"),
    ],
)
def test_the_nearest_name_is_proposed(name: str, valid: list[str], sentence: str) -> None:
    assert nearest(name, valid) == sentence
