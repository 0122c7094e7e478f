"""Naming a model of another kind as what it is, with the back end that takes it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from models.backends.common.gguf import is_gguf
from models.catalog.recognition import GGUF, Recognised, recognise

MAX_CONFIG_CHARACTERS = 1_000_000


def why_foreign(path: Path, backends: Collection[str]) -> str | None:
    """Tell what a file or a folder holds that is for none of `backends`; None: nothing known.

    Raises `OSError`.
    """
    recognised = _recognise(path)
    if recognised is None or recognised.backend in backends:
        return None
    return f"{path} is {recognised.kind}: it is for the back end `{recognised.backend}`."


def _recognise(path: Path) -> Recognised | None:
    if path.is_file():
        return GGUF if is_gguf(path) else None
    if not path.is_dir():
        return None
    config = path / "config.json"
    text = config.read_bytes()[:MAX_CONFIG_CHARACTERS] if config.is_file() else b""
    return recognise([each.name for each in path.iterdir()], text.decode(errors="replace"))
