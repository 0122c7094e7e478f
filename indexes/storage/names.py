"""Which indexes the data folder has, read beside whoever has it open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from indexes.storage.store import FILE_NAME


def read_index_names(folder: Path, tenant: str) -> set[str] | None:
    """Read the names of a tenant's indexes, without writing anything. Blocks.

    None where they cannot be read.
    """
    file = folder / FILE_NAME
    if not file.exists():
        return set()
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT name FROM indexes WHERE tenant = ?", (tenant,))
            return {name for (name,) in rows}
    except sqlite3.Error:
        return None
