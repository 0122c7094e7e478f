"""Where the files of a model are, and how much they hold. Reads small things alone: no weights."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from config.errors import Unavailable
from models.backends.common.formats import why_foreign

ROOT = Path(__file__).resolve().parents[3]
INDEX = "model.safetensors.index.json"
SMALL = Path("models/small")
"""The folder below which Motet brings models along."""
SAFETENSORS_BACKENDS = ("transformers", "sentence_transformers", "cross_encoder")
HUB_NAME = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)
MAX_HEADER_BYTES = 100_000_000
"""The bound that the safetensors library has."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What is stored of a model: how many numbers, in how many bytes."""

    numbers: int = 0
    stored_bytes: int = 0


def folder_of(source: str) -> Path | None:
    """Find the folder that `source` stands for; None when its files are not on this machine.

    It is a path (`/models/mine`, `./mine`), a folder that Motet brings along
    ("models/small/captioner"), or the name of a model of the Hugging Face Hub that was pulled.
    """
    path = Path(source).expanduser()
    if is_path(source):
        return path if path.is_dir() else None
    # Not below the working folder: a model of the Hub may have the name of a folder there.
    if path.parent == SMALL:
        return ROOT / path if (ROOT / path).is_dir() else None
    return _snapshot(source)


def is_path(source: str) -> bool:
    """Tell whether it can name a folder alone, and no model of the Hub."""
    return Path(source).expanduser().is_absolute() or source.startswith(".")


def is_hub_name(source: str) -> bool:
    """Tell whether it has the form of a name of the Hub, which is never taken for a folder."""
    return HUB_NAME.fullmatch(source) is not None and ".." not in source


def allows_pickles(options: Mapping[str, Any]) -> bool:
    """Tell whether the options of a back end in models.yaml allow weights that are pickles."""
    return options.get("allow_pickles") is True


def why_missing(name: str, source: str, *, allow_pickles: bool = False) -> str | None:
    """Tell why the model cannot be loaded from `source`, and what to do; None when all is there.

    Weights that are pickles count as missing unless `allow_pickles`.
    """
    if not source:
        return "it has no `source`: name a folder with the model, or a model of the Hub."
    folder = folder_of(source)
    if folder is None:
        return why_no_folder(name, source)
    if not weight_files(folder) and (reason := why_foreign(folder, SAFETENSORS_BACKENDS)):
        return reason
    if not (folder / "config.json").is_file():
        return f"{folder} is not the folder of a model: it has no config.json."
    if absent := _first_absent(folder):
        return f"{folder} lacks {absent}. Run `motet models pull {name}`, or put it there."
    return None if allow_pickles else why_pickled(folder, weight_files(folder))


def why_pickled(folder: Path, files: Iterable[Path]) -> str | None:
    """Tell which of the weights is a pickle, which runs what it holds; None when none is."""
    pickled = next((file for file in files if file.suffix != ".safetensors"), None)
    if pickled is None:
        return None
    return (
        f"{folder} has its weights as a pickle ({pickled.name}), which can run code when it is "
        "read. Take safetensors, or set `allow_pickles: true` for the back end, under `backends:` "
        "of models.yaml."
    )


def why_no_folder(name: str, source: str) -> str:
    """Tell why `source` stands for no folder here, and what to do."""
    if is_path(source):
        return why_foreign(Path(source).expanduser(), ()) or f"there is no folder '{source}'."
    return f"it is not on this machine yet. Run `motet models pull {name}`."


def require_folder(name: str, source: str, *, allow_pickles: bool = False) -> Path:
    """Return the folder of a model to be loaded. Raises `Unavailable` (`model_missing`)."""
    return folder_unless(why_missing(name, source, allow_pickles=allow_pickles), name, source)


def folder_unless(reason: str | None, name: str, source: str) -> Path:
    """Return the folder of a model, unless there is a reason why it cannot be loaded.

    Raises `Unavailable` (`model_missing`).
    """
    folder = folder_of(source)
    if reason or folder is None:
        raise missing_model(name, source, reason)
    return folder


def missing_model(name: str, source: str, reason: str | None) -> Unavailable:
    """Return the error of a model whose files are not, or not all, on this machine."""
    return Unavailable(
        f"The model '{name}' cannot be loaded: {reason}",
        code="model_missing",
        details={"model": name, "source": source},
    )


def weights(folder: Path) -> Weights:
    """Count what all files with weights in `folder` itself hold."""
    numbers = stored = 0
    for file in weight_files(folder):
        size = file.stat().st_size
        stored += size
        # Of a pickle only its size can be known without loading it; most hold two-byte numbers.
        numbers += _count_numbers(file) if file.suffix == ".safetensors" else size // 2
    return Weights(numbers, stored)


def weight_files(folder: Path, pickles: str = "pytorch_model*.bin") -> list[Path]:
    """List those that are loaded: safetensors where there are any."""
    safe = sorted(folder.glob("*.safetensors"))
    return safe or sorted(folder.glob(pickles))


def config_of(folder: Path) -> dict[str, Any]:
    """Read its config.json; empty where it cannot be read."""
    return read_json(folder / "config.json")


def read_json(file: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object; empty where it cannot be read, or holds none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def snapshots_of(repository: str) -> list[Path]:
    """List the revisions of a model of the Hub that are here, the main one first, then the newest.

    They lie in the cache that the Hub's own library keeps.
    """
    main = _snapshot(repository)
    home = _hub_folder(repository) / "snapshots"
    others = [each for each in home.iterdir() if each != main] if home.is_dir() else []
    others.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    return [main, *others] if main else others


def _snapshot(source: str) -> Path | None:
    """Find the main revision of a model of the Hub, in the cache that its own library keeps."""
    home = _hub_folder(source)
    try:
        revision = (home / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    folder = home / "snapshots" / revision
    return folder if folder.is_dir() else None


def _hub_folder(repository: str) -> Path:
    return _hub_cache() / f"models--{repository.replace('/', '--')}"


def _hub_cache() -> Path:
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{caches}/huggingface"
    return Path(home).expanduser() / "hub"


def _first_absent(folder: Path) -> str | None:
    """Name the first file with weights that should be there and is not."""
    if (folder / INDEX).is_file():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        named = sorted(set(index["weight_map"].values()))
        return next((name for name in named if not (folder / name).is_file()), None)
    return None if weight_files(folder) else "model.safetensors"


def _count_numbers(file: Path) -> int:
    """Count the numbers that a safetensors file holds, by its header."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, MAX_HEADER_BYTES)))
    except (OSError, ValueError, struct.error):
        return file.stat().st_size // 2
    return sum(_sizes(header))


def _sizes(header: dict[str, Any]) -> Iterator[int]:
    for name, tensor in header.items():
        if name != "__metadata__":
            yield prod(tensor["shape"])
