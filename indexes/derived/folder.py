"""Worker side: saves a derived index so that it is loaded whole or not at all.

txtai's own save writes several files in place. Here each save goes to a new folder; a manifest
names it, with the hash of every file, and is replaced by a rename. The words of removed documents
are redacted in what is saved, which serves until the next save stands.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from config.errors import Unavailable
from config.files import sync_path
from indexes.derived.hybrid_index import WORDS_NAME, HybridIndex
from indexes.records import SAVE_FAILED

log = logging.getLogger(__name__)

FORMAT = 3
"""To be raised when tokens, scoring or files change: older saves are then built anew."""
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a saved folder holds: passages up to `change`, embedded by `fingerprint`."""

    format: int
    fingerprint: str
    change: int
    folder: str
    files: dict[str, str]


def save(index: HybridIndex, root: Path, fingerprint: str, change: int) -> None:
    """Replace what was saved in `root`; a crash at any moment leaves the old save or the new one.

    Durable when it returns. Raises `Unavailable` (`index_save_failed`), and leaves the old save,
    when the disk is full.
    """
    folder = root / f"saved-{uuid.uuid4().hex}"
    try:
        _write(index, root, folder, fingerprint, change)
    except Exception as error:  # faiss raises whatever the file object raises, or its own
        shutil.rmtree(folder, ignore_errors=True)
        raise Unavailable(
            f"The search index cannot be saved: {error}. Nothing is lost: it is built anew when it "
            "is needed. Free disk space or mend the data folder.",
            code=SAVE_FAILED,
        ) from error
    _sweep(root, folder.name)


def _write(index: HybridIndex, root: Path, folder: Path, fingerprint: str, change: int) -> None:
    folder.mkdir(parents=True)
    index.save_to(folder)
    files = {path.name: _digest(path, sync=True) for path in sorted(folder.iterdir())}
    sync_path(folder)
    _replace_manifest(root, Manifest(FORMAT, fingerprint, change, folder.name, files))


def _replace_manifest(root: Path, manifest: Manifest) -> None:
    # The order counts: all files are on the disk before the manifest names them, and the manifest
    # is before the rename, so that it never names what is not there.
    new = root / f"{MANIFEST_NAME}.new"
    new.write_text(json.dumps(asdict(manifest)))
    sync_path(new)
    os.replace(new, root / MANIFEST_NAME)
    sync_path(root)


@dataclass(frozen=True, slots=True)
class LoadedIndex:
    """An index and the last change that it has seen."""

    index: HybridIndex
    change: int


def load(root: Path, fingerprint: str) -> LoadedIndex:
    """Load what was saved; an empty index at change 0 if there is nothing of use."""
    try:
        manifest = Manifest(**json.loads((root / MANIFEST_NAME).read_bytes()))
        if (manifest.format, manifest.fingerprint) != (FORMAT, fingerprint):
            raise ValueError("it was made by another version or another embedding model")
        folder = root / manifest.folder
        for name, digest in manifest.files.items():
            if _digest(folder / name) != digest:
                raise ValueError(f"{name} is damaged")
        index = HybridIndex()
        if manifest.files:
            index = HybridIndex.load_from(folder, _words_name(manifest))
    except FileNotFoundError as error:
        if root.exists():
            log.warning("the saved index in %s is incomplete (%s): building it anew", root, error)
    except Exception as error:
        # Whatever is wrong with a derived index, storage holds all it was made of.
        log.warning("the saved index in %s is of no use (%s): building it anew", root, error)
    else:
        _sweep(root, manifest.folder)
        _sweep_files(folder, manifest)
        return LoadedIndex(index, manifest.change)
    shutil.rmtree(root, ignore_errors=True)
    return LoadedIndex(HybridIndex(), 0)


def redact(index: HybridIndex, root: Path) -> None:
    """Remove from what was saved in `root` each word that is in no passage of `index`.

    The saved numbers stay as they are, so that what was saved can be opened and caught up. A crash
    at any moment leaves the words as they were or redacted. Raises `OSError`.
    """
    try:
        manifest = Manifest(**json.loads((root / MANIFEST_NAME).read_bytes()))
    except FileNotFoundError:
        return
    folder = root / manifest.folder
    if not manifest.files:
        return
    name, used = _words_name(manifest), index.used_words()
    saved = (folder / name).read_text()
    redacted = "\n".join(word if word in used else "" for word in saved.split("\n"))
    if redacted != saved:
        new = folder / f"{WORDS_NAME}-{uuid.uuid4().hex}"
        new.write_text(redacted)
        files = {each: digest for each, digest in manifest.files.items() if each != name}
        files[new.name] = _digest(new, sync=True)
        sync_path(folder)
        manifest = replace(manifest, files=files)
        _replace_manifest(root, manifest)
    _sweep_files(folder, manifest)


def _words_name(manifest: Manifest) -> str:
    return next(name for name in manifest.files if name.startswith(WORDS_NAME))


def _digest(path: Path, sync: bool = False) -> str:
    with path.open("rb") as file:
        if sync:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _sweep(root: Path, current: str) -> None:
    """Remove earlier saves, and what a crash left of one."""
    for path in root.glob("saved-*"):
        if path.name != current:
            shutil.rmtree(path, ignore_errors=True)


def _sweep_files(folder: Path, manifest: Manifest) -> None:
    """Remove words as they were before they were redacted."""
    for path in folder.iterdir():
        if path.name not in manifest.files:
            path.unlink(missing_ok=True)
