"""Filters by metadata: what they mean, and that they can be nothing but filters."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import Invalid
from indexes.retrieval.filters import compile_filter
from indexes.storage.fields import add_fields
from indexes.storage.schema import create

DOCUMENTS: dict[str, dict[str, Any]] = {
    "guides/a.md": {"author": "Anna", "year": 2020, "tags": ["a", "b"], "draft": True},
    "guides/b.md": {"author": "Bert", "year": 2023.5, "tags": ["b"], "draft": False},
    "notes/c.txt": {"author": "Anna", "year": "2020", "tags": [], "n": None, "date": "2024-05-01"},
    "d.md": {"year": [2010, 2030], "title": "Own", "n": 1, "big": 10**30, "nested": {"n": 1}},
}


@pytest.fixture(scope="module")
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create(connection)
    for index in ("one", "other"):
        connection.execute(
            "INSERT INTO indexes (id, tenant, name, spec) VALUES (?, 't', ?, '{}')", (index, index)
        )
    for index in ("one", "other"):
        for at, (source, metadata) in enumerate(DOCUMENTS.items()):
            add_document(connection, index, source, metadata, at)
    return connection


def add_document(
    connection: sqlite3.Connection, index: str, source: str, metadata: dict[str, Any], at: int
) -> None:
    key = connection.execute(
        "INSERT INTO documents (index_id, id, origin, source, title, media_type, hash, bytes_hash,"
        " size_bytes, mtime_ns, recipe, metadata, passages, updated_at, text)"
        " VALUES (?, ?, ?, ?, ?, ?, '', '', 0, 0, '', '{}', 0, ?, '')",
        (index, source, "/srv" if at < 2 else "", source, f"Title {at}",
         "text/plain" if source.endswith(".txt") else "text/markdown", 86400.0 * at),
    ).lastrowid  # fmt: skip
    assert key
    add_fields(connection, index, key, metadata)


def chosen(connection: sqlite3.Connection, where: dict[str, Any], index: str = "one") -> list[str]:
    filter = compile_filter(where)
    query = f"SELECT id FROM documents d WHERE d.index_id = ?1 AND {filter.sql} ORDER BY key"
    return [row[0] for row in connection.execute(query, (index, *filter.values))]


A, B, C, D = DOCUMENTS


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [A, B, C, D]),
        ({"author": "Anna"}, [A, C]),
        ({"author": {"not": "Anna"}}, [B, D]),
        ({"author": {"not": ["Anna", "Bert"]}}, [D]),
        ({"author": {"in": ["Bert", "Carl"]}}, [B]),
        ({"author": {"in": []}}, []),
        ({"author": ["Anna", "Bert"]}, [A, B, C]),
        ({"author": "Anna", "draft": True}, [A]),
        ({"author": {"gt": "Anna"}}, [B]),
        ({"author": {"glob": "*nn*"}}, [A, C]),
        ({"year": 2020}, [A]),
        ({"year": "2020"}, [C]),
        ({"year": {"gte": 2020, "lt": 2024}}, [A, B]),
        ({"year": {"gt": 2010}}, [A, B, D]),
        ({"year": {"lte": 2010}}, [D]),
        ({"tags": "b"}, [A, B]),
        ({"tags": {"in": ["a", "c"]}}, [A]),
        ({"tags": {"exists": False}}, [C, D]),
        ({"draft": {"not": True}}, [B, C, D]),
        ({"draft": False}, [B]),
        ({"draft": 0}, []),
        ({"n": {"exists": True}}, [D]),
        ({"n": {"exists": False}}, [A, B, C]),
        ({"nested": {"exists": True}}, []),
        ({"date": {"gte": "2024-01-01", "lt": "2025"}}, [C]),
        ({"big": {"gt": 10**29}}, [D]),
        ({"source": {"glob": "guides/*"}}, [A, B]),
        ({"source": {"in": [C, D]}}, [C, D]),
        ({"title": "Title 3"}, [D]),
        ({"metadata.title": "Own"}, [D]),
        ({"media_type": {"not": "text/markdown"}}, [C]),
        ({"folder": "/srv"}, [A, B]),
        ({"folder": {"exists": False}}, [C, D]),
        ({"folder": {"not": "/srv"}}, [C, D]),
        ({"updated_at": {"gte": "1970-01-02", "lt": "1970-01-03T00:00:00+00:00"}}, [B]),
        ({"updated_at": {"lt": 86400}}, [A]),
        ({"') OR 1=1 --": 1}, []),
        ({"author": "' OR '1'='1"}, []),
        ({"author": {"glob": "*a*a*a*a*a*a*a*a*a*a*b"}}, []),
    ],
)
def test_a_filter_chooses_the_documents_of_its_index_that_it_describes(
    connection: sqlite3.Connection, where: dict[str, Any], expected: list[str]
) -> None:
    assert chosen(connection, where) == expected
    assert chosen(connection, where, "none") == []


@pytest.mark.parametrize(
    ("where", "field", "says"),
    [
        ({"year": {"gte ": 1}}, "where.year", "Did you mean 'gte'"),
        ({"year": {"greater": 1}}, "where.year", "no operator 'greater'"),
        ({"year": {}}, "where.year", "needs an operator"),
        ({"year": None}, "where.year", "exists"),
        ({"year": {"gt": True}}, "where.year", "true or false"),
        ({"year": {"gt": 1, "lt": "2"}}, "where.year", "several kinds"),
        ({"year": {"in": [1, "a"]}}, "where.year", "several kinds"),
        ({"year": {"in": 1}}, "where.year", "list"),
        ({"year": {"in": list(range(1001))}}, "where.year", "1000 values"),
        ({"year": float("nan")}, "where.year", "numbers"),
        ({"year": {"eq": {"a": 1}}}, "where.year", "texts, numbers"),
        ({"n": {"exists": 1}}, "where.n", "true or false"),
        ({"n": {"glob": 1}}, "where.n", "text like"),
        ({"n": "x" * 1001}, "where.n", "1000 characters"),
        ({"n": "\ud800"}, "where.n", "texts"),
        ({"source": 1}, "where.source", "is a text"),
        ({"updated_at": "soon"}, "where.updated_at", "ISO date"),
        ({"updated_at": {"glob": "2*"}}, "where.updated_at", "time"),
        ({str(n): 1 for n in range(33)}, "where", "32 fields"),
        ([1], "where", "object"),
    ],
)
def test_a_wrong_filter_names_its_field(where: Any, field: str, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        compile_filter(where)
    assert (caught.value.code, caught.value.details["field"]) == ("invalid_filter", field)


VALUES = st.one_of(st.sampled_from(["a", "b", "é", ""]), st.integers(-2, 2), st.booleans())
METADATA = st.dictionaries(
    st.sampled_from("xyz"), st.one_of(VALUES, st.lists(VALUES, max_size=3)), max_size=3
)


@settings(max_examples=100, deadline=None)
@given(documents=st.lists(METADATA, max_size=8), field=st.sampled_from("xyz"), value=VALUES)
def test_a_filter_means_what_it_means_in_python(
    documents: list[dict[str, Any]], field: str, value: Any
) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create(connection)
    connection.execute("INSERT INTO indexes (id, tenant, name, spec) VALUES ('one', '', '', '{}')")
    for at, metadata in enumerate(documents):
        add_document(connection, "one", str(at), metadata, at)

    def holds(metadata: dict[str, Any], test: Any) -> bool:
        values = metadata.get(field, [])
        values = values if isinstance(values, list) else [values]
        return any(test(each) for each in values)

    def same_kind(each: Any) -> bool:
        return isinstance(each, str) == isinstance(value, str) and isinstance(
            each, bool
        ) == isinstance(value, bool)

    equal = [
        str(n) for n, m in enumerate(documents) if holds(m, lambda e: same_kind(e) and e == value)
    ]
    assert chosen(connection, {field: value}) == equal
    others = [str(n) for n in range(len(documents)) if str(n) not in equal]
    assert chosen(connection, {field: {"not": value}}) == others
    if not isinstance(value, bool):
        above = [
            str(n)
            for n, m in enumerate(documents)
            if holds(m, lambda e: same_kind(e) and e > value)
        ]
        assert chosen(connection, {field: {"gt": value}}) == above
    connection.close()
