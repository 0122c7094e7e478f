"""Folders of saved derived indexes, and that nothing of what was deleted stays in them.

Owns their removal. Writing and reading them is `folder`'s, in the worker.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from indexes.storage.store import Store


class SavedIndexes:
    """The folders in which the worker saves derived indexes, named by the indexes' ids."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

    async def sweep(self, ids: Collection[str]) -> None:
        """Remove the folders of other indexes than these, which a killed process left."""
        for folder in await self._store.blocking(self._list_folders):
            if folder.name not in ids:
                await self.remove(folder.name)

    async def exists(self, id: str) -> bool:
        """Tell whether anything of an index is saved."""
        return await self._store.blocking((self._folder / id).is_dir)

    async def remove(self, id: str) -> None:
        """Remove the folder of an index, if it has one."""
        folder = self._folder / id
        await self._store.blocking(lambda: shutil.rmtree(folder, ignore_errors=True))

    def _list_folders(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []
