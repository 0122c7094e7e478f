"""The store of the indexes, when its file is there no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import Unavailable
from indexes.storage.database import IndexDatabase
from indexes.storage.store import FILE_NAME, open_store


def change(database: IndexDatabase) -> None:
    with database.transaction():
        pass


async def test_nothing_is_written_to_a_database_that_was_moved_away(tmp_path: Path) -> None:
    folder, moved = tmp_path / "indexes", tmp_path / "moved"
    async with open_store(folder) as store:
        folder.rename(moved)
        for write in (store(change), store.beside(change)):
            with pytest.raises(Unavailable, match="was moved"):
                await write
        assert not (folder / FILE_NAME).exists()

        moved.rename(folder)
        await store(change)
        await store.beside(change)
