"""Saved derived indexes on the disk, and that nothing of what was deleted stays there."""

from __future__ import annotations

import shutil
from pathlib import Path

from indexes.storage.store import Store
from indexes.storage.tables import Tables


class Saved:
    """The folders in which the worker saves derived indexes, by the indexes' ids."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

    async def sweep(self) -> None:
        """Take off the disk what a process that was killed left: folders of deleted indexes, and
        those that hold words of documents removed since they were saved."""
        good = await self._store(Tables.unremoved_indexes)
        for folder in await self._store.blocking(self._folders):
            if folder.name not in good:
                await self.remove(folder.name)

    async def remove(self, id: str) -> None:
        folder = self._folder / id
        await self._store.blocking(lambda: shutil.rmtree(folder, ignore_errors=True))

    def _folders(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []
