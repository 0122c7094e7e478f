"""Folders of saved derived indexes, and that nothing of what was deleted stays in them.

Owns their removal. Writing and reading them is `folder`'s, in the worker.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from indexes.storage import changes
from indexes.storage.store import Store


class SavedIndexes:
    """The folders in which the worker saves derived indexes, named by the indexes' ids."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

    async def sweep(self) -> None:
        """Remove what a killed process left: folders of deleted indexes, and those that hold words
        of documents removed since they were saved."""
        clean = await self._store(changes.list_indexes_without_removals)
        for folder in await self._store.blocking(self._list_folders):
            if folder.name not in clean:
                await self.remove(folder.name)

    async def remove(self, id: str) -> None:
        """Remove the folder of an index, if it has one."""
        folder = self._folder / id
        await self._store.blocking(lambda: shutil.rmtree(folder, ignore_errors=True))

    def _list_folders(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []
