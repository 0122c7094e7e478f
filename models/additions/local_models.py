"""Models that lie on this machine already: a GGUF file, or a folder of any kind."""

from __future__ import annotations

import asyncio
from pathlib import Path

from config.errors import Invalid
from models.additions.candidate import Candidate, name_after
from models.backends.common.gguf import read_header
from models.backends.llamacpp.pulled_files import GGUFFiles, find_files, find_missing
from models.catalog.recognition import GGUF, recognise
from models.pulls.gguf_files import select_gguf

MAX_CONFIG_BYTES = 2**20


async def describe_path(path: Path) -> Candidate:
    """Describe the model at a path. Raises `Invalid` (`invalid_model_source`)."""
    return await asyncio.to_thread(_describe_folder if path.is_dir() else _describe_file, path)


def _describe_file(path: Path) -> Candidate:
    source = str(path)
    problem = find_missing(path.stem, source, path.parent)
    files = None if problem else find_files(source, path.parent)
    if files is None:
        more = ""
        if path.suffix == ".safetensors":
            more = " Weights as safetensors are added by the folder that they lie in."
        raise _unusable(f"{problem}{more}")
    return _describe_gguf(source, files)


def _describe_folder(folder: Path) -> Candidate:
    names = [each.name for each in folder.iterdir() if each.is_file()]
    if selected := select_gguf(names):
        file = folder / selected.parts[0]
        projector = folder / selected.projector if selected.projector else None
        parts = tuple(folder / part for part in selected.parts)
        return _describe_gguf(str(file), GGUFFiles(file, projector, parts))
    recognised = recognise(names, _read_config(folder))
    if recognised is None or recognised == GGUF:
        raise _unusable(
            f"{folder} holds no model that is known: no GGUF file, and no config.json by which "
            "its kind could be told. Declare it in models.yaml, with task and back end."
        )
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.suffix in _WEIGHTS)
    return Candidate(
        name_after(folder.name),
        recognised.task,
        recognised.backend,
        str(folder),
        download_bytes=0,
        memory_bytes=size,
    )


_WEIGHTS = frozenset({".safetensors", ".bin", ".pth", ".pt"})


def _describe_gguf(source: str, files: GGUFFiles) -> Candidate:
    return Candidate(
        name_after(Path(source).name),
        "embed" if _is_embedder(files.model) else GGUF.task,
        GGUF.backend,
        source,
        {"projector": str(files.projector)} if files.projector else {},
        download_bytes=0,
        memory_bytes=files.size_bytes,
    )


def _is_embedder(file: Path) -> bool:
    try:
        return read_header(file).get("pooling_type") is not None
    except (OSError, ValueError):
        return False  # loading it says what is wrong


def _read_config(folder: Path) -> str:
    try:
        with (folder / "config.json").open("rb") as opened:
            return opened.read(MAX_CONFIG_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _unusable(message: str) -> Invalid:
    return Invalid(message, code="invalid_model_source", details={"field": "model"})
