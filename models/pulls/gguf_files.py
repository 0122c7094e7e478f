"""Which of a repository's files are a GGUF model: its parts, and its projector. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

SUFFIX = ".gguf"
USUAL = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q5_K_S", "Q6_K", "Q8_0", "F16", "BF16", "F32")
"""Taken where none is named, the first that there is: small, and close to the full precision."""
PROJECTORS = ("F16", "BF16", "Q8_0", "F32")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GGUFSelection:
    """The files of one model, the first part first."""

    parts: tuple[str, ...]
    projector: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.parts, self.projector) if self.projector else self.parts


def select_gguf(
    paths: Sequence[str], file: str = "", quantisation: str = ""
) -> GGUFSelection | None:
    """Select the model that is `file`, or of a quantisation, else of the most usual one.

    None where there is no such model, or not all its parts.
    """
    models = [path for path in paths if _is_model(path)]
    first = _choose(models, file, quantisation)
    if first is None or (parts := _parts_of(first, models)) is None:
        return None
    projectors = sorted(path for path in paths if _is_projector(path))
    return GGUFSelection(parts, _choose_by_precision(projectors, PROJECTORS))


def list_quantisations(paths: Sequence[str]) -> list[str]:
    """List the names by which the models among the files can be chosen."""
    names = {_name_quantisation(path) for path in paths if _is_model(path)}
    return sorted(name for name in names if name)


def is_part(path: str) -> bool:
    """Tell whether a file is one of several that are a model together."""
    return _PART.search(path) is not None


def _choose(models: Sequence[str], file: str, quantisation: str) -> str | None:
    if file:
        return file if file in models else None
    firsts = sorted(path for path in models if _number(path) <= 1)
    if quantisation:
        return next((path for path in firsts if _is_of(path, quantisation)), None)
    return _choose_by_precision(firsts, USUAL)


def _choose_by_precision(paths: Sequence[str], precisions: Sequence[str]) -> str | None:
    for precision in precisions:
        for path in paths:
            if _is_of(path, precision):
                return path
    return paths[0] if paths else None


def _parts_of(first: str, models: Sequence[str]) -> tuple[str, ...] | None:
    match = _PART.search(first)
    if match is None:
        return (first,)
    stem, count = first[: match.start()], int(match[2])
    parts = tuple(f"{stem}-{number:05}-of-{count:05}{SUFFIX}" for number in range(1, count + 1))
    return parts if set(parts) <= set(models) else None


def _number(path: str) -> int:
    match = _PART.search(path)
    return int(match[1]) if match else 0


def _is_model(path: str) -> bool:
    name = PurePosixPath(path).name.lower()
    return name.endswith(SUFFIX) and "mmproj" not in name and "imatrix" not in name


def _is_projector(path: str) -> bool:
    name = PurePosixPath(path).name.lower()
    return name.endswith(SUFFIX) and "mmproj" in name


def _is_of(path: str, quantisation: str) -> bool:
    # Of the whole path: some repositories have a folder for each.
    pattern = rf"(^|[-._/]){re.escape(quantisation)}([-./]|$)"
    return re.search(pattern, path, re.IGNORECASE) is not None


def _name_quantisation(path: str) -> str:
    match = re.search(
        r"(^|[-._/])((?:UD-)?(?:I?Q\d\w*|B?F16|F32|MXFP4\w*))([-._/]|$)", path, re.IGNORECASE
    )
    return match[2].upper() if match else ""
