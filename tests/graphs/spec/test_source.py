"""YAML in: safe, bounded, with places."""

from __future__ import annotations

import pytest

from config.errors import Invalid
from config.yaml_reader import MAX_BYTES
from graphs.spec.source import read_source

BOMB = "\n".join(
    ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
)


def test_every_value_has_its_line_and_column() -> None:
    source = read_source("a: 1\nb:\n  - x\n  - {c: d}\n")
    assert source.value == {"a": 1, "b": ["x", {"c": "d"}]}
    assert source.problems.marks["b", 1, "c"] == (4, 9)


def test_words_that_older_yaml_takes_for_booleans_stay_text() -> None:
    value = read_source("a: yes\nb: off\nno: on\nd: 2024-01-01\ne: true\nf: 1e3\ng: 1.5").value
    assert value == {
        "a": "yes",
        "b": "off",
        "no": "on",
        "d": "2024-01-01",
        "e": True,
        "f": 1000.0,
        "g": 1.5,
    }


def test_an_alias_repeats_a_value() -> None:
    assert read_source("a: &x [1]\nb: *x").value == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: [1", 1, "not YAML"),
        ("a: 1\na: 2", 2, "given twice"),
        ("a: !!python/object/apply:os.system [ls]", 1, "not YAML|tag"),
        ("a: !!python/name:os.system x", 1, "tag"),
        (BOMB, None, "too many"),
        ("a: " + "[" * 5000, None, "nested too deeply"),
        ("a: " + "[" * 40 + "]" * 40, 1, "too deep"),
        ("x: &x [*x]", 1, "too deep|not YAML"),
        (b"a: \xff\xfe", None, "UTF-8"),
        ("a: \x00", None, "not YAML"),
        ("a: 1\n--- 2\n--- 3", 2, "another document"),
        ("? [a]\n: 1", 1, "plain text"),
        ("a: " + "x" * MAX_BYTES, None, "at most"),
        ("a: \ud800", None, "not YAML"),
    ],
)
def test_hostile_or_broken_yaml_is_refused_with_its_line(
    text: str | bytes, line: int | None, word: str
) -> None:
    with pytest.raises(Invalid, match=word) as caught:
        read_source(text, "x.yaml")
    assert caught.value.code == "invalid_agent"
    problem = caught.value.details["problems"][0]
    assert problem["file"] == "x.yaml"
    if line:
        assert problem["line"] == line
