"""Durability of files that are not SQLite's."""

from __future__ import annotations

import os
from pathlib import Path


def sync_path(path: Path) -> None:
    """Write a file's bytes, or a folder's entries, through to the disk. Blocks for the fsync.

    A file that was renamed into place survives a power loss once its folder is synced.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
