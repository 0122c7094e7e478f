"""One index as one portable file: a SQLite database of the same tables that holds it alone."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from config.errors import Busy, Conflict, Invalid
from indexes.records import IndexRecord
from indexes.spec import IndexSpec
from indexes.storage import inspection
from indexes.storage.database import IndexDatabase
from indexes.storage.schema import VERSION, create
from indexes.storage.tables import Tables

APPLICATION_ID = 0x4D6F7465  # "Mote": says what the file is

EXPORT = (
    "INSERT INTO copy.spaces SELECT id, '', fingerprint, dimensions FROM main.spaces WHERE id = "
    "(SELECT space FROM main.indexes WHERE id = :id)",
    "INSERT INTO copy.indexes SELECT id, '', name, spec, space, last_change, 0, calibration "
    "FROM main.indexes WHERE id = :id",
    "INSERT INTO copy.vectors SELECT DISTINCT v.* FROM main.passages p "
    "JOIN main.indexes i ON i.id = p.index_id "
    "JOIN main.vectors v ON v.space = i.space AND v.hash = p.hash WHERE p.index_id = :id "
    "ORDER BY v.hash",
    "INSERT INTO copy.documents SELECT * FROM main.documents WHERE index_id = :id ORDER BY key",
    "INSERT INTO copy.passages SELECT * FROM main.passages WHERE index_id = :id ORDER BY number",
    "INSERT INTO copy.fields SELECT * FROM main.fields WHERE index_id = :id",
)
INCOMPLETE = """
    SELECT 1 FROM copy.indexes i JOIN copy.passages p
        LEFT JOIN copy.vectors v ON v.space = i.space AND v.hash = p.hash
    WHERE v.hash IS NULL LIMIT 1"""
BEGIN = (
    "INSERT OR IGNORE INTO main.spaces (tenant, fingerprint, dimensions) "
    "SELECT :tenant, fingerprint, dimensions FROM copy.spaces",
    "INSERT INTO main.indexes (id, tenant, name, spec, space, last_change, calibration) "
    "SELECT :id, '', :id, :spec, (SELECT s.id FROM main.spaces s JOIN copy.spaces c "
    "ON c.fingerprint = s.fingerprint WHERE s.tenant = :tenant), last_change, calibration "
    "FROM copy.indexes",
)
SLICE = (
    "INSERT OR IGNORE INTO main.vectors SELECT i.space, v.hash, v.vector, v.excerpts "
    "FROM copy.passages p JOIN copy.vectors v "
    "ON v.space = (SELECT space FROM copy.indexes) AND v.hash = p.hash "
    "JOIN main.indexes i ON i.id = :id WHERE p.document BETWEEN :first AND :last",
    "INSERT INTO main.documents SELECT key + :shift, :id, id, origin, source, title, media_type, "
    "hash, bytes_hash, size_bytes, mtime_ns, recipe, metadata, passages, updated_at, text "
    "FROM copy.documents WHERE key BETWEEN :first AND :last",
    "INSERT INTO main.passages SELECT :id, number, document + :shift, ordinal, start, stop, page, "
    "heading, hash, text FROM copy.passages WHERE document BETWEEN :first AND :last",
    "INSERT INTO main.fields SELECT :id, document + :shift, name, kind, value FROM copy.fields "
    "WHERE document BETWEEN :first AND :last",
)
SLICE_DOCUMENTS = 100
"""Imported at once: others who write wait for one slice at most."""


def export(database: IndexDatabase, index: IndexRecord, path: Path) -> None:
    """Write the index, as it is at one moment, to `path`; what stood there is replaced when all
    is written. Raises `Invalid` (`invalid_path`), `Busy` (`index_reembedding`)."""
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as copy:
            create(copy)
        with _attached(database, f"{new.absolute().as_uri()}?mode=rw"):
            with database.transaction("DEFERRED") as connection:
                for statement in EXPORT:
                    connection.execute(statement, {"id": index.id})
                if connection.execute(INCOMPLETE).fetchone():
                    raise _moving(index)
        _seal(new)
        os.replace(new, path)
        _sync(path.absolute().parent)
    except (OSError, ValueError, sqlite3.OperationalError) as error:
        raise Invalid(
            f"The snapshot cannot be written to {path}: {error}.",
            code="invalid_path",
            details={"field": "path"},
        ) from error
    finally:
        with suppress(OSError, ValueError):
            new.unlink()


def import_snapshot(database: IndexDatabase, tenant: str, path: Path, name: str | None) -> str:
    """Make an index of a snapshot; the name it has. All of it is there at once or none.

    Raises `Invalid` (`invalid_snapshot`) for what is damaged or no snapshot, `Conflict`.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    spec = _inspected(path, uri)
    # Folders of another machine mean nothing here, or worse, something else.
    kept = {"name": name or spec.name, "folders": (), "watch": False}
    spec = IndexSpec.model_validate(spec.model_dump() | kept)
    id = uuid.uuid4().hex
    with _attached(database, uri):
        _check_free(database, tenant, spec.name)
        try:
            _fill(database, id, tenant, spec)
            with database.transaction() as connection:
                _check_free(database, tenant, spec.name)
                query = "UPDATE main.indexes SET tenant = ?, name = ? WHERE id = ?"
                connection.execute(query, (tenant, spec.name, id))
        except BaseException:
            Tables(database.connection, database.writing).delete_index(id)
            raise
    return spec.name


def sweep(database: IndexDatabase) -> None:
    """Remove what imports that a crash cut short have left."""
    for (id,) in database.rows("SELECT id FROM indexes WHERE tenant = ''"):
        Tables(database.connection).delete_index(id)


def _fill(database: IndexDatabase, id: str, tenant: str, spec: IndexSpec) -> None:
    """Bring everything over, for an index that nobody can see: it has no tenant yet."""
    values = {"id": id, "tenant": tenant, "spec": spec.model_dump_json()}
    with database.transaction() as connection:
        for statement in BEGIN:
            connection.execute(statement, values)
    keys = [key for (key,) in database.rows("SELECT key FROM copy.documents ORDER BY key")]
    for at in range(0, len(keys), SLICE_DOCUMENTS):
        first, *_ = some = keys[at : at + SLICE_DOCUMENTS]
        with database.transaction() as connection:
            ((last,),) = database.rows("SELECT coalesce(max(key), 0) FROM main.documents")
            place = {"id": id, "first": first, "last": some[-1], "shift": last + 1 - first}
            for statement in SLICE:
                connection.execute(statement, place)


def _check_free(database: IndexDatabase, tenant: str, name: str) -> None:
    if database.rows("SELECT 1 FROM main.indexes WHERE (tenant, name) = (?, ?)", tenant, name):
        raise Conflict(
            f"There is an index '{name}' already: give the snapshot another name.",
            code="index_exists",
            details={"field": "name"},
        )


def _moving(index: IndexRecord) -> Busy:
    return Busy(
        f"The index '{index.spec.name}' is being embedded by another model: export it then.",
        code="index_reembedding",
        retry_after_s=60.0,
    )


@contextmanager
def _attached(database: IndexDatabase, uri: str) -> Iterator[None]:
    database.connection.execute("ATTACH ? AS copy", (uri,))
    try:
        yield
    finally:
        database.connection.execute("DETACH copy")


def _seal(path: Path) -> None:
    """Say what the file is and what it holds, and bring it to the disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("CREATE TABLE snapshot (digest TEXT NOT NULL)")
        copy.execute("INSERT INTO snapshot VALUES (?)", (_digest(copy),))
        copy.execute(f"PRAGMA application_id={APPLICATION_ID}")
    _sync(path)


def _inspected(path: Path, uri: str) -> IndexSpec:
    """The spec of the index in a snapshot that is sound."""
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as copy:
            copy.execute("PRAGMA trusted_schema=OFF")
            marks = [copy.execute(f"PRAGMA {each}").fetchone()[0] for each in
                     ("application_id", "user_version")]  # fmt: skip
            if marks != [APPLICATION_ID, VERSION]:
                raise ValueError("it is no snapshot that this version of Motet reads")
            spec = inspection.inspected(copy)
            if copy.execute("SELECT digest FROM snapshot").fetchall() != [(_digest(copy),)]:
                raise ValueError("it is damaged")
            return spec
    except (OSError, ValueError, TypeError, sqlite3.Error, RecursionError) as error:
        raise Invalid(
            f"{path} cannot be imported: {error}.".replace("..", "."),
            code="invalid_snapshot",
            details={"field": "path", "file": str(path)},
        ) from error


def _digest(copy: sqlite3.Connection) -> str:
    digest = hashlib.blake2b(digest_size=32)
    for table in ("spaces", "indexes", "vectors", "documents", "passages", "fields"):
        for row in copy.execute(f"SELECT * FROM {table} ORDER BY rowid"):
            digest.update(repr(row).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
