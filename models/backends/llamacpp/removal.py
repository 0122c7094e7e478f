"""Deletes the files of GGUF models that were pulled."""

from __future__ import annotations

from pathlib import Path

from models.backends.common.sources import snapshots_of
from models.backends.llamacpp.pulled_files import find_files
from models.backends.llamacpp.sources import HubModel, LocalFile, RegistryModel, parse_source
from models.pulls.registry_store import MODELS_FOLDER, RegistryStore


def remove_files(source: str, home: Path) -> int:
    """Delete what was pulled for a source; return how many bytes that freed. Blocks.

    A file that somebody put on this machine himself stays, and so does what other models have too.
    """
    match parse_source(source):
        case LocalFile():
            return 0
        case HubModel(repository):
            files = find_files(source, home)
            return _remove_of_hub(repository, files.parts) if files else 0
        case RegistryModel() as model:
            return RegistryStore(home / MODELS_FOLDER).remove(model.host, model.name, model.tag)


def _remove_of_hub(repository: str, parts: tuple[Path, ...]) -> int:
    """Delete names in the Hub's cache, and what none of its revisions names any more."""
    freed_bytes = 0
    blobs = {part: part.resolve() for part in parts}
    for part in parts:
        part.unlink(missing_ok=True)
    links = [each for folder in snapshots_of(repository) for each in folder.rglob("*")]
    used = {each.resolve() for each in links if each.is_symlink()}
    for blob in set(blobs.values()) - used:
        if blob.exists():
            freed_bytes += blob.stat().st_size
            blob.unlink()
    return freed_bytes
