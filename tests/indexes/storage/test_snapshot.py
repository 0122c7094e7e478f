"""Snapshots: one index as a file, taken while it is used, and read back only when it is sound."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from config.errors import Busy, Conflict, Invalid, NotFound, Unavailable
from config.quotas import Quota
from indexes.quality.calibration import Threshold
from indexes.service import Indexes
from indexes.spec import IndexSpec
from indexes.storage import snapshot
from indexes.storage.database import IndexDatabase
from indexes.storage.schema import create
from indexes.storage.store import open_store
from tests.support.indexes import HashingEmbedder
from tests.support.tenants import TENANT


async def add(indexes: Indexes, source: str, text: str, **about: Any) -> str:
    notes = await indexes.get("notes", tenant=TENANT)
    report = await notes.add_document(source=source, data=text.encode(), metadata=about)
    return report.documents[0]


@pytest.fixture
async def filled(indexes: Indexes) -> AsyncIterator[Indexes]:
    """`notes` with three documents; `copy` is deleted afterwards."""
    notes = await indexes.get("notes", tenant=TENANT)
    for n in range(3):
        await add(indexes, f"{n}.md", f"# Document {n}\n\nIt is about subject{n}.\n", year=2020 + n)
    await notes.set_threshold(Threshold(0.4, "hashing-1", 10, 0.9, 0.8))
    yield indexes
    for info in await indexes.list(tenant=TENANT):
        if info.name not in ("notes", "docs"):
            await indexes.delete(info.name, tenant=TENANT)


async def test_a_snapshot_read_back_answers_as_the_index_did_and_embeds_nothing(
    filled: Indexes, tmp_path: Path, embedder: HashingEmbedder
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    file = tmp_path / "notes.motet"
    await notes.export(file)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.motet"]
    copy = await filled.import_snapshot(file, "copy", tenant=TENANT)
    info = await copy.describe()
    assert (info.name, info.documents, info.embedded_by) == ("copy", 3, "hashing-1")
    embedder.seen.clear()
    for query in ("subject1", "subject2 document"):
        mine, theirs = [
            [
                (p.id, p.text, p.start, p.hash, p.score)
                for p in await filled.search(name, query, tenant=TENANT)
            ]
            for name in ("notes", "copy")
        ]
        assert mine == theirs
    found = await filled.search("copy", "subject1", where={"year": {"gte": 2022}}, tenant=TENANT)
    assert [passage.source for passage in found] == ["2.md"]
    assert set(embedder.seen) == {"subject1", "subject2 document"}
    assert await copy.get_threshold() == await notes.get_threshold()
    await copy.add_document(source="0.md", data=b"Now about cucumbers.")
    assert (await filled.search("copy", "cucumbers", limit=1, tenant=TENANT))[0].source == "0.md"
    assert (await notes.get_document((await notes.list_documents())[0].id)).text[0] == "#"


async def test_a_snapshot_holds_nothing_of_other_indexes_and_tenants(
    filled: Indexes, tmp_path: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    await filled.create(IndexSpec(name="private"), tenant="zyxtenant")
    try:
        await (await filled.get("private", "zyxtenant")).add_document(
            source="s.md", data=b"The quuxling password."
        )
        await notes.export(tmp_path / "a")
        data = (tmp_path / "a").read_bytes()
        assert b"subject1" in data
        assert b"quuxling" not in data
        assert b"zyxtenant" not in data
        with pytest.raises(NotFound):
            await (await filled.get("private", tenant=TENANT)).export(tmp_path / "b")
    finally:
        await filled.delete("private", tenant="zyxtenant")


async def test_a_snapshot_is_of_one_moment_while_ingests_go_on(
    filled: Indexes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its statements a document is replaced: the snapshot knows only the old one."""
    notes = await filled.get("notes", tenant=TENANT)
    loop = asyncio.get_running_loop()
    replaced = False

    def replace_first(statement: str) -> None:
        nonlocal replaced
        if "copy.documents" in statement and not replaced:
            replaced = True
            work = add(filled, "0.md", "# Other\n\nNothing is left of it.\n")
            asyncio.run_coroutine_threadsafe(work, loop).result(30)

    export = snapshot.export_snapshot

    def watched(database: Any, *args: Any) -> None:
        database.connection.set_trace_callback(replace_first)
        export(database, *args)

    monkeypatch.setattr(snapshot, "export_snapshot", watched)
    await notes.export(tmp_path / "a")
    assert replaced
    assert (await filled.search("notes", "subject0", limit=1, tenant=TENANT))[0].text.startswith(
        "# "
    )
    await filled.import_snapshot(tmp_path / "a", "copy", tenant=TENANT)
    texts = [
        p.text for p in await filled.search("copy", "document subject0", limit=10, tenant=TENANT)
    ]
    assert any("subject0" in text for text in texts)
    assert len(texts) == 3
    texts = [
        p.text for p in await filled.search("notes", "document subject0", limit=10, tenant=TENANT)
    ]
    assert not any("subject0" in text for text in texts)


async def test_documents_deleted_during_an_export_are_in_no_file_afterwards(
    filled: Indexes, tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    secret = await add(filled, "secret.md", "The frobnicated quuxling.\n", owner="blorbo")
    loop = asyncio.get_running_loop()
    export = snapshot.export_snapshot

    def delete_last(statement: str) -> None:
        if "copy.fields" in statement:
            work = notes.delete_document(secret)
            asyncio.run_coroutine_threadsafe(work, loop).result(30)

    def watched(database: Any, *args: Any) -> None:
        database.connection.set_trace_callback(delete_last)
        export(database, *args)

    monkeypatch.setattr(snapshot, "export_snapshot", watched)
    await notes.export(tmp_path / "a")
    assert b"quuxling" in (tmp_path / "a").read_bytes()
    files = [path.read_bytes() for path in data_folder.rglob("*") if path.is_file()]
    assert any(b"subject1" in data for data in files)
    assert not any(word in data for data in files for word in (b"quuxling", b"blorbo"))


async def test_import_is_invisible_until_its_end_and_holds_up_no_ingest_or_search(
    filled: Indexes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    await notes.export(tmp_path / "a")
    monkeypatch.setattr(snapshot, "SLICE_DOCUMENTS", 1)
    loop = asyncio.get_running_loop()
    fill = snapshot._copy_rows
    seen: list[list[str]] = []

    async def meanwhile() -> None:
        await add(filled, f"more{len(seen)}.md", f"# More\n\nAbout cellar{len(seen)}.\n")
        found = await filled.search("notes", f"cellar{len(seen)}", limit=1, tenant=TENANT)
        seen.append([found[0].source, *[info.name for info in await filled.list(tenant=TENANT)]])

    def watched(database: Any, *args: Any) -> None:
        def between(statement: str) -> None:
            if statement == "BEGIN IMMEDIATE":
                asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(30)

        database.connection.set_trace_callback(between)
        fill(database, *args)
        database.connection.set_trace_callback(None)

    monkeypatch.setattr(snapshot, "_copy_rows", watched)
    await filled.import_snapshot(tmp_path / "a", "copy", tenant=TENANT)
    assert seen == [[f"more{n}.md", "docs", "notes"] for n in range(4)]
    found = await filled.search("copy", "document subject1", limit=10, tenant=TENANT)
    assert sorted(passage.source for passage in found) == ["0.md", "1.md", "2.md"]


async def test_an_import_that_fails_or_is_killed_leaves_nothing(
    filled: Indexes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    await notes.export(tmp_path / "a")
    monkeypatch.setattr(
        snapshot, "_IMPORT_SLICE", (*snapshot._IMPORT_SLICE, "SELECT * FROM nowhere")
    )
    async with open_store(tmp_path / "other") as store:
        with pytest.raises(Unavailable):
            await store.beside(
                lambda db: snapshot.import_snapshot(
                    db, TENANT, tmp_path / "a", None, Quota("max_indexes_per_tenant", 9, "indexes")
                )
            )
        assert await store(counts) == {"indexes": 0, "documents": 0, "vectors": 0, "spaces": 0}
        # As a process leaves it that is killed now.
        spec = IndexSpec(name="half")
        monkeypatch.setattr(snapshot, "_IMPORT_SLICE", snapshot._IMPORT_SLICE[:-1])
        await store.beside(lambda db: half(db, tmp_path / "a", spec))
        assert (await store(counts))["documents"] == 3
        await store(snapshot.sweep)
        assert await store(counts) == {"indexes": 0, "documents": 0, "vectors": 0, "spaces": 0}


def half(database: IndexDatabase, file: Path, spec: IndexSpec) -> None:
    with snapshot._attached(database, file.as_uri()):
        snapshot._copy_rows(database, "random", "default", spec)


def counts(database: IndexDatabase) -> dict[str, int]:
    tables = ("indexes", "documents", "vectors", "spaces")
    return {each: database.rows(f"SELECT count(*) FROM {each}")[0][0] for each in tables}


async def test_a_name_that_is_taken_is_a_conflict(filled: Indexes, tmp_path: Path) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    await notes.export(tmp_path / "a")
    for name in (None, "notes"):
        with pytest.raises(Conflict) as caught:
            await filled.import_snapshot(tmp_path / "a", name, tenant=TENANT)
        assert caught.value.code == "index_exists"
    with pytest.raises(Invalid):
        await filled.import_snapshot(tmp_path / "a", "../x", tenant=TENANT)
    again = await filled.import_snapshot(tmp_path / "a", tenant="other")
    assert again.name == "notes"
    await filled.delete("notes", tenant="other")


async def test_an_imported_index_watches_no_folder_of_another_machine(
    filled: Indexes, tmp_path: Path
) -> None:
    watching = await filled.create(
        IndexSpec(name="watching", folders=("/etc",), watch=True), tenant=TENANT
    )
    await watching.export(tmp_path / "a")
    copy = await filled.import_snapshot(tmp_path / "a", "copy", tenant=TENANT)
    info = await copy.describe()
    assert (info.folders, info.watch) == ([], False)


async def test_a_file_that_cannot_be_written_is_named_and_the_old_one_stays(
    filled: Indexes, tmp_path: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "gone" / "a", tmp_path / "folder", Path("/proc/a")):
        with pytest.raises(Invalid) as caught:
            await notes.export(path)
        assert caught.value.code == "invalid_path"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


async def imports(indexes: Indexes, file: Path) -> bool:
    """Whether a file is taken for a snapshot."""
    try:
        await indexes.import_snapshot(file, "copy", tenant=TENANT)
    except Invalid as error:
        return error.code != "invalid_snapshot"
    return True


async def test_index_without_all_vectors_of_its_next_model_is_not_exported(
    filled: Indexes, tmp_path: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)

    def lose_one(database: IndexDatabase) -> None:
        database.connection.execute(
            "DELETE FROM vectors WHERE rowid = (SELECT max(rowid) FROM vectors)"
        )

    await filled._store(lose_one)
    with pytest.raises(Busy) as caught:
        await notes.export(tmp_path / "a")
    assert caught.value.code == "index_reembedding"
    assert list(tmp_path.iterdir()) == []


async def test_a_snapshot_damaged_anywhere_is_refused_and_nothing_is_imported(
    filled: Indexes, tmp_path: Path
) -> None:
    notes = await filled.get("notes", tenant=TENANT)
    whole = tmp_path / "whole"
    await notes.export(whole)
    data = whole.read_bytes()
    content = [data.index(word) for word in (b"subject1", b"Document 2", b"1.md", b"text/markdown")]
    places = [*content, *random.Random(3).sample(range(len(data)), 16)]
    refused = 0
    for place in places:
        broken = bytearray(data)
        broken[place] ^= 0x15
        (tmp_path / "broken").write_bytes(broken)
        if await imports(filled, tmp_path / "broken"):
            # A byte of no meaning, in a free page: what was imported is what was exported.
            documents = await (await filled.get("copy", tenant=TENANT)).list_documents()
            texts = [
                (await (await filled.get("copy", tenant=TENANT)).get_document(each.id)).text
                for each in documents
            ]
            assert texts == [f"# Document {n}\n\nIt is about subject{n}.\n" for n in range(3)]
            await filled.delete("copy", tenant=TENANT)
        else:
            refused += 1
    assert refused >= len(content)
    (tmp_path / "broken").write_bytes(data[: len(data) // 2])
    with pytest.raises(Invalid):
        await filled.import_snapshot(tmp_path / "broken", "copy", tenant=TENANT)
    assert {info.name for info in await filled.list(tenant=TENANT)} == {"docs", "notes"}


def _other_version(copy: sqlite3.Connection) -> None:
    copy.execute("PRAGMA user_version=1")


def _trigger(copy: sqlite3.Connection) -> None:
    copy.execute("CREATE TRIGGER t AFTER INSERT ON snapshot BEGIN DELETE FROM indexes; END")


def _view(copy: sqlite3.Connection) -> None:
    copy.execute("DROP TABLE fields")
    copy.execute("CREATE VIEW fields AS SELECT * FROM documents")


FORGERIES = [
    "UPDATE passages SET text = 'something else', hash = x'00'",
    "UPDATE passages SET start = start + 1",
    "UPDATE passages SET heading = '{}'",
    "UPDATE passages SET number = number + 1000",
    "UPDATE passages SET ordinal = ordinal + 1",
    "UPDATE documents SET text = 'x', hash = 'y'",
    "UPDATE documents SET metadata = '[]'",
    "UPDATE documents SET metadata = 'no json'",
    "UPDATE documents SET passages = 7",
    "UPDATE documents SET title = x'ff'",
    "UPDATE vectors SET vector = x'00000000'",
    "UPDATE vectors SET excerpts = x'05'",
    "UPDATE vectors SET hash = x'00' WHERE rowid = 1",
    "UPDATE indexes SET spec = '{}'",
    "UPDATE indexes SET calibration = '{\"wrong\": 1}'",
    "UPDATE fields SET value = x'00'",
    "DELETE FROM vectors",
    "DELETE FROM spaces",
    "DELETE FROM indexes",
    "INSERT INTO indexes (id, tenant, name, spec) VALUES ('x', '', 'x', '{}')",
    _other_version,
    _trigger,
    _view,
]


@pytest.mark.parametrize(
    "forgery", FORGERIES, ids=lambda forgery: getattr(forgery, "__name__", forgery)
)
async def test_a_forged_snapshot_is_refused(
    filled: Indexes, tmp_path: Path, forgery: str | Callable[[sqlite3.Connection], None]
) -> None:
    """Its digest is right: whoever forges a file can compute that."""
    notes = await filled.get("notes", tenant=TENANT)
    file = tmp_path / "forged"
    await notes.export(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as copy:
        copy.execute(forgery) if isinstance(forgery, str) else forgery(copy)
        copy.execute("UPDATE snapshot SET digest = ?", (snapshot._digest(copy),))
    with pytest.raises(Invalid) as caught:
        await filled.import_snapshot(file, "copy", tenant=TENANT)
    assert caught.value.code == "invalid_snapshot"
    assert {info.name for info in await filled.list(tenant=TENANT)} == {"docs", "notes"}


async def test_a_file_that_is_no_snapshot_is_refused(filled: Indexes, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "foreign")) as foreign:
        foreign.execute("CREATE TABLE indexes (id)")
    with closing(sqlite3.connect(tmp_path / "empty", isolation_level=None)) as empty:
        create(empty)
        empty.execute(f"PRAGMA application_id={snapshot.APPLICATION_ID}")
    (tmp_path / "text").write_text("Not a database.")
    (tmp_path / "nothing").touch()
    (tmp_path / "folder").mkdir()
    for name in ("foreign", "empty", "text", "nothing", "folder", "missing"):
        with pytest.raises(Invalid) as caught:
            await filled.import_snapshot(tmp_path / name, "copy", tenant=TENANT)
        assert caught.value.code == "invalid_snapshot"
    assert not (tmp_path / "missing").exists()


async def test_import_counts_as_an_index_of_its_tenant(filled: Indexes, tmp_path: Path) -> None:
    await (await filled.get("notes", tenant=TENANT)).export(tmp_path / "a")
    few = Quota("max_indexes_per_tenant", 1, "indexes")

    with pytest.raises(Busy) as caught:
        await filled._store.beside(
            lambda db: snapshot.import_snapshot(db, TENANT, tmp_path / "a", "copy", few)
        )

    assert caught.value.code == "quota_exceeded"
    assert "copy" not in [info.name for info in await filled.list(tenant=TENANT)]
