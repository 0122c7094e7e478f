"""Exports an index to one portable file, and imports it again.

A snapshot is a SQLite database of the same tables that holds one index alone, with a digest of its
rows. Leaves the checks of a foreign file to `inspection`.

Invariants: a snapshot appears under its name only when it is whole and durable. An import is
invisible until it is whole: its index belongs to no tenant ('') until the last transaction, and
`sweep` removes what a crash left of one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from config.errors import Busy, Conflict, Invalid, Unavailable
from config.files import REASONS, storage_error, sync_path
from config.quotas import Quota
from indexes.records import IndexRecord
from indexes.spec import IndexSpec
from indexes.storage import inspection
from indexes.storage.database import IndexDatabase
from indexes.storage.index_rows import check_quota, delete_index
from indexes.storage.schema import VERSION, create

APPLICATION_ID = 0x4D6F7465
"""SQLite's mark in the file's header that says what it is: "Mote"."""
DISK_FAULTS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
}
"""The system's numbers for what SQLite says of a disk."""

_EXPORT = (
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
_PASSAGE_WITHOUT_VECTOR = """
    SELECT 1 FROM copy.indexes i JOIN copy.passages p
        LEFT JOIN copy.vectors v ON v.space = i.space AND v.hash = p.hash
    WHERE v.hash IS NULL LIMIT 1"""
_BEGIN_IMPORT = (
    "INSERT OR IGNORE INTO main.spaces (tenant, fingerprint, dimensions) "
    "SELECT :tenant, fingerprint, dimensions FROM copy.spaces",
    "INSERT INTO main.indexes (id, tenant, name, spec, space, last_change, calibration) "
    "SELECT :id, '', :id, :spec, (SELECT s.id FROM main.spaces s JOIN copy.spaces c "
    "ON c.fingerprint = s.fingerprint WHERE s.tenant = :tenant), last_change, calibration "
    "FROM copy.indexes",
)
_IMPORT_SLICE = (
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


def export_snapshot(database: IndexDatabase, record: IndexRecord, path: Path) -> None:
    """Write the index, as it is at one moment, to `path`; a file there is replaced at the end.

    Raises `Invalid` (`invalid_path`), `Busy` (`index_reembedding`), and `Unavailable`
    (`storage_full` and others) when the disk does not take it.
    """
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as copy:
            create(copy)
        with _attached(database, f"{new.absolute().as_uri()}?mode=rw"):
            with database.transaction("DEFERRED") as connection:
                for statement in _EXPORT:
                    connection.execute(statement, {"id": record.id})
                if connection.execute(_PASSAGE_WITHOUT_VECTOR).fetchone():
                    raise _is_moving(record)
        _seal(new)
        os.replace(new, path)
        sync_path(path.absolute().parent)
    except (OSError, ValueError, sqlite3.OperationalError) as error:
        raise _write_error(error) from error
    finally:
        with suppress(OSError, ValueError):
            new.unlink()


def _write_error(error: Exception) -> Invalid | Unavailable:
    """Tell a disk that refuses from a path that cannot be; the message does not hold the path."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, sqlite3.Error):
        number = DISK_FAULTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if number in DISK_FAULTS.values():
        return storage_error(OSError(number, ""), "The snapshot")
    reason = REASONS.get(number or 0, "there can be no file of this name")
    return Invalid(
        f"The snapshot cannot be written there: {reason}.",
        code="invalid_path",
        details={"field": "path"},
    )


def import_snapshot(
    database: IndexDatabase, tenant: str, path: Path, name: str | None, quota: Quota
) -> str:
    """Create an index from a snapshot; return its name. All of it is there at once, or nothing.

    Raises `Invalid` (`invalid_snapshot`) for what is damaged or no snapshot, `Conflict`
    (`index_exists`), `Busy` (`quota_exceeded`).
    """
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    spec = _inspect(path, uri)
    # Folders of another machine mean nothing here, or worse, something else.
    changes = {"name": name or spec.name, "folders": (), "watch": False}
    spec = IndexSpec.model_validate(spec.model_dump() | changes)
    id = uuid.uuid4().hex
    with _attached(database, uri):
        _check_free(database, tenant, spec.name)
        check_quota(database, tenant, quota, more=1)
        try:
            _copy_rows(database, id, tenant, spec)
            with database.transaction() as connection:
                # Again: the copying took a while, and name and room may be taken by now.
                _check_free(database, tenant, spec.name)
                query = "UPDATE main.indexes SET tenant = ?, name = ? WHERE id = ?"
                connection.execute(query, (tenant, spec.name, id))
                check_quota(database, tenant, quota)
        except BaseException:
            delete_index(database, id)
            raise
    return spec.name


def sweep(database: IndexDatabase) -> None:
    """Remove what a crash left of imports."""
    for (id,) in database.rows("SELECT id FROM indexes WHERE tenant = ''"):
        delete_index(database, id)


def _copy_rows(database: IndexDatabase, id: str, tenant: str, spec: IndexSpec) -> None:
    """Copy everything, for an index that nobody can see: it has no tenant yet."""
    values = {"id": id, "tenant": tenant, "spec": spec.model_dump_json()}
    with database.transaction() as connection:
        for statement in _BEGIN_IMPORT:
            connection.execute(statement, values)
    keys = [key for (key,) in database.rows("SELECT key FROM copy.documents ORDER BY key")]
    for at in range(0, len(keys), SLICE_DOCUMENTS):
        first, *_ = keys_of_slice = keys[at : at + SLICE_DOCUMENTS]
        with database.transaction() as connection:
            ((last,),) = database.rows("SELECT coalesce(max(key), 0) FROM main.documents")
            bounds = {
                "id": id,
                "first": first,
                "last": keys_of_slice[-1],
                # Behind all that is there by now: others add documents between two slices.
                "shift": last + 1 - first,
            }
            for statement in _IMPORT_SLICE:
                connection.execute(statement, bounds)


def _check_free(database: IndexDatabase, tenant: str, name: str) -> None:
    if database.rows("SELECT 1 FROM main.indexes WHERE (tenant, name) = (?, ?)", tenant, name):
        raise Conflict(
            f"There is an index '{name}' already: give the snapshot another name.",
            code="index_exists",
            details={"field": "name"},
        )


def _is_moving(record: IndexRecord) -> Busy:
    return Busy(
        f"The index '{record.spec.name}' is being embedded by another model: export it then.",
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
    """Mark the file as a snapshot, with the digest of its rows, and bring it to the disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("CREATE TABLE snapshot (digest TEXT NOT NULL)")
        copy.execute("INSERT INTO snapshot VALUES (?)", (_digest(copy),))
        copy.execute(f"PRAGMA application_id={APPLICATION_ID}")
    sync_path(path)


def _inspect(path: Path, uri: str) -> IndexSpec:
    """Check a snapshot; return the spec of its index."""
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as copy:
            copy.execute("PRAGMA trusted_schema=OFF")
            marks = [copy.execute(f"PRAGMA {each}").fetchone()[0] for each in
                     ("application_id", "user_version")]  # fmt: skip
            if marks != [APPLICATION_ID, VERSION]:
                raise ValueError("it is no snapshot that this version of Motet reads")
            spec = inspection.inspect_snapshot(copy)
            if copy.execute("SELECT digest FROM snapshot").fetchall() != [(_digest(copy),)]:
                raise ValueError("it is damaged")
            return spec
    except (OSError, ValueError, TypeError, sqlite3.Error, RecursionError) as error:
        reason = REASONS.get(error.errno or 0) if isinstance(error, OSError) else error
        raise Invalid(
            f"The snapshot cannot be imported: {reason}.".replace("..", "."),
            code="invalid_snapshot",
            details={"field": "path"},
        ) from error


def _digest(copy: sqlite3.Connection) -> str:
    digest = hashlib.blake2b(digest_size=32)
    for table in ("spaces", "indexes", "vectors", "documents", "passages", "fields"):
        for row in copy.execute(f"SELECT * FROM {table} ORDER BY rowid"):
            digest.update(repr(row).encode(errors="surrogatepass"))
    return digest.hexdigest()
