"""Declarations of indexes: what is read, and where an error is."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import Invalid
from config.settings import load_settings
from indexes.spec import IndexSpec, check_name, declared_indexes, index_spec


def declared(folder: Path, text: str) -> dict[str, IndexSpec]:
    (folder / "indexes.yaml").write_text(text)
    return declared_indexes(load_settings(home=folder))


def test_the_shipped_file_declares_docs(tmp_path: Path) -> None:
    assert declared_indexes(load_settings(home=tmp_path)) == {
        "docs": IndexSpec(name="docs", description="Your documents, unless you name another index.")
    }


def test_own_entries_are_laid_over_the_shipped_ones(tmp_path: Path) -> None:
    own = "indexes:\n  docs: {chunk_words: 100}\n  law:\n    folders: [./law, /srv/law]\n  bare:\n"
    found = declared(tmp_path, own)
    assert found["docs"].chunk_words == 100
    assert found["law"].folders == (str(tmp_path.resolve() / "law"), "/srv/law")
    assert set(found) == {"docs", "law", "bare"}


@pytest.mark.parametrize(
    ("text", "line", "field", "says"),
    [
        ("indexes:\n  law:\n    chunk_word: 3\n", 3, "indexes.law.chunk_word", "chunk_words"),
        ("indexes:\n  law:\n    chunk_words: many\n", 3, "indexes.law.chunk_words", "whole number"),
        ("indexes:\n  law:\n    weight: 2\n", 3, "indexes.law.weight", "less than or equal"),
        ("indexes:\n  law:\n    rerank: ''\n", 3, "indexes.law.rerank", "at least 1"),
        ("indexes:\n  law:\n    watch: often\n", 3, "indexes.law.watch", "true or false"),
        ("indexes:\n  law:\n    folders: [1]\n", 3, "indexes.law.folders.0", "must be a text"),
        ("version: 2\n", 1, "version", "1"),
        ("version: 1\nindex:\n", 2, "index", "indexes"),
        ("indexes:\n  ../x:\n    weight: 1\n", 2, "indexes.../x", "letters"),
        ("indexes:\n  law: [a]\n", 2, "indexes.law", "mapping"),
        ("indexes: [a]\n", 1, "indexes", "mapping"),
        ("indexes:\n  a: [\n", 2, None, "not YAML"),
        ("- a\n", None, None, "mapping"),
    ],
)
def test_an_error_names_file_line_and_field(
    tmp_path: Path, text: str, line: int | None, field: str | None, says: str
) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        declared(tmp_path, text)
    details = caught.value.details
    assert details["file"] == str(tmp_path / "indexes.yaml")
    assert (details.get("line"), details.get("field")) == (line, field)


def test_a_file_that_was_named_but_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such file"):
        declared_indexes(load_settings(home=tmp_path, indexes=tmp_path / "gone.yaml"))


@pytest.mark.parametrize(
    "name", ["", "..", "../etc", "a/b", "A", "-a", "a" * 65, "a\n", "a.b", "\0", "a b", "é"]
)
def test_a_name_that_could_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        check_name(name)
    with pytest.raises(Invalid) as caught:
        index_spec({"name": name})
    assert caught.value.details["field"] == "name"


def test_a_requests_error_names_the_field() -> None:
    with pytest.raises(Invalid, match="chunk_words") as caught:
        index_spec({"name": "a", "chunk_wrods": 3})
    assert caught.value.details["field"] == "chunk_wrods"


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "indexes.yaml").mkdir()

    with pytest.raises(Invalid, match="cannot be read"):
        declared_indexes(load_settings(home=tmp_path))


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "indexes:\n  law:\n    chunk_word: 3\n    weight: 2\n  a/b: {}\nindex:\n",
            [
                *((3, "indexes.law.chunk_word"), (4, "indexes.law.weight")),
                *((5, "indexes.a/b"), (6, "index")),
            ],
        ),
        ("indexes:\n  a: {}\n  a: {}\n  b: !x 1\n", [(3, "indexes.a"), (4, "indexes.b")]),
    ],
)
def test_all_that_is_wrong_is_told_at_once_with_its_lines(
    tmp_path: Path, text: str, faults: list[tuple[int, str]]
) -> None:
    with pytest.raises(Invalid, match=f"{len(faults)} problems in all") as caught:
        declared(tmp_path, text)

    problems = caught.value.details["problems"]
    assert [(each["line"], each["field"]) for each in problems] == faults
