"""Pydantic's errors in words for the author of a file."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from config.validation_words import join_type_errors, word_error


class Inner(BaseModel):
    kind: Literal["alpha", "beta"] = "alpha"


class Form(BaseModel):
    text: str = ""
    count: int = Field(1, ge=1)
    share: float = 1
    on: bool = True
    items: list[str] = Field(["a"], min_length=1)
    inner: Inner = Inner()
    name: str = Field("a", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    either: str | list[str] = ""


def errors_of(fields: dict[str, Any]) -> list[Any]:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(fields)
    return caught.value.errors()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": 5}, "must be a text, not 5."),
        ({"count": "many"}, "must be a whole number, not 'many'."),
        ({"count": 0}, "should be greater than or equal to 1."),
        ({"share": None}, "must be a number, not null."),
        ({"on": "maybe"}, "must be true or false, not 'maybe'."),
        ({"items": "a"}, "must be a list, not 'a'."),
        ({"items": []}, "needs at least 1 item."),
        ({"inner": [1]}, "must be a mapping of `key: value`, not a list."),
        ({"inner": {"kind": "alfa"}}, "must be 'alpha' or 'beta'. Did you mean 'alpha'?"),
        ({"inner": {"kind": "zzz"}}, "must be 'alpha' or 'beta'."),
        ({"name": "A b"}, "use small letters, digits, '_' and '-', at most 64."),
    ],
)
def test_error_says_what_is_expected_and_what_stands_there(
    fields: dict[str, Any], words: str
) -> None:
    assert word_error(errors_of(fields)[0]) == words


def test_value_that_fits_no_type_is_told_all_of_them_once() -> None:
    words = join_type_errors(errors_of({"either": True}))
    assert words == "must be a text or a list, not true."
