"""The files of a GGUF model on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from config.errors import MotetError
from models.backends.common.formats import why_foreign
from models.backends.common.gguf import is_gguf
from models.backends.common.sources import missing_model, snapshots_of
from models.backends.llamacpp.sources import (
    GGUFSource,
    HubModel,
    LocalFile,
    RegistryModel,
    parse_source,
)
from models.pulls.gguf_files import is_part, select_gguf
from models.pulls.manifest import MODEL, PROJECTOR
from models.pulls.registry_store import MODELS_FOLDER, RegistryStore

BACKENDS = ("llamacpp",)


@dataclass(frozen=True, slots=True)
class GGUFFiles:
    """What a model is loaded from: its first part, beside which the others lie."""

    model: Path
    projector: Path | None = None
    parts: tuple[Path, ...] = ()

    @property
    def size_bytes(self) -> int:
        """What the files hold together; blocks."""
        every = (*(self.parts or (self.model,)), self.projector)
        return sum(file.stat().st_size for file in every if file)


def find_files(source: str, home: Path) -> GGUFFiles | None:
    """Find the files of a source; None where they are not, or not all, on this machine. Blocks.

    `home` is the data folder. Raises `Invalid` (`invalid_model_source`).
    """
    return _find(parse_source(source), home)


def find_missing(name: str, source: str, home: Path) -> str | None:
    """Tell why a model cannot be loaded from its source, and what to do; None when it can. Blocks.

    `name` is the model's in models.yaml.
    """
    if not source:
        return "it has no `source`: name a GGUF file, or a model to be pulled."
    try:
        parsed = parse_source(source)
        files = _find(parsed, home)
        if isinstance(parsed, LocalFile):
            return _find_fault(parsed.path, files)
    except (MotetError, OSError) as error:
        return error.message if isinstance(error, MotetError) else f"{source}: {error.strerror}"
    if files is None:
        return f"its files are not here. `motet models pull {name}` gets them."
    return None


def require_files(name: str, source: str, home: Path) -> GGUFFiles:
    """Find the files of a source; blocks. Raises `Unavailable` (`model_missing`)."""
    reason = find_missing(name, source, home)
    files = None if reason else find_files(source, home)
    if files is None:
        raise missing_model(name, source, reason or "its files went away.")
    return files


def _find(source: GGUFSource, home: Path) -> GGUFFiles | None:
    match source:
        case LocalFile(path):
            return _find_local(path)
        case HubModel():
            return _find_of_hub(source)
        case RegistryModel():
            return _find_of_registry(source, RegistryStore(home / MODELS_FOLDER))


def _find_local(path: Path) -> GGUFFiles | None:
    selected = select_gguf([each.name for each in path.parent.glob("*.gguf")], path.name)
    if selected:
        return GGUFFiles(path, parts=tuple(path.parent / part for part in selected.parts))
    # Any name will do for a model in one file.
    is_whole = path.is_file() and not is_part(path.name)
    return GGUFFiles(path, parts=(path,)) if is_whole else None


def _find_of_hub(source: HubModel) -> GGUFFiles | None:
    """Find the model in the newest commit that has it: each pull links only what it got."""
    for folder in snapshots_of(source.repository):
        present = [str(each.relative_to(folder)) for each in _present(folder.rglob("*.gguf"))]
        if selected := select_gguf(present, source.file, source.quantisation):
            parts = tuple(folder / part for part in selected.parts)
            projector = folder / selected.projector if selected.projector else None
            return GGUFFiles(parts[0], projector, parts=parts)
    return None


def _find_of_registry(source: RegistryModel, store: RegistryStore) -> GGUFFiles | None:
    manifest = store.find(source.host, source.name, source.tag)
    if manifest is None:
        return None
    files = {each.mediaType: store.blob(each) for each in manifest.loaded_layers}
    return GGUFFiles(files[MODEL], files.get(PROJECTOR), (files[MODEL],))


def _present(files: Iterable[Path]) -> Iterable[Path]:
    return (each for each in files if each.is_file())


def _find_fault(path: Path, files: GGUFFiles | None) -> str | None:
    if path.is_dir():
        return why_foreign(path, BACKENDS) or f"{path} is a folder; a GGUF model is a file."
    try:
        if is_gguf(path):
            return None if files else f"{path} is a part of a model; not all others lie beside it."
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    wrong = f"{path} is no GGUF file: those begin with the letters GGUF."
    return why_foreign(path, BACKENDS) or wrong
