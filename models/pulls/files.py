"""Which files of a repository are the model, and whether they are what they should be. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CHUNK_BYTES = 2**20
_SAFE = ".safetensors"
_PICKLED = (".bin", ".pth", ".pt")
_SMALL = (".json", ".txt", ".model", ".jinja", ".yaml", ".vocab", ".tiktoken", ".spm")
_VARIANT = re.compile(r"\.(fp16|fp32|bf16|non_ema|ema|int8)[.-]")


@dataclass(frozen=True, slots=True)
class HubFile:
    """`digest` is the file's SHA-256 where `large`, else the SHA-1 that git names it by."""

    path: str
    size: int
    digest: str
    large: bool


def select_files(files: Sequence[HubFile]) -> list[HubFile]:
    """Select what a library loads: configurations, and weights once, safetensors if there are any.

    Left out are other formats of the same weights, and variants of their precision.
    """
    pipeline = any(file.path == "model_index.json" for file in files)
    weights = [file for file in files if _is_weight(file.path, pipeline)]
    safe = [file for file in weights if file.path.endswith(_SAFE)]
    plain = [file for file in safe or weights if not _VARIANT.search(file.path)]
    small = [file for file in files if file.path.endswith(_SMALL) and not file.path.startswith(".")]
    return [*small, *(plain or safe or weights)]


def _is_weight(path: str, pipeline: bool) -> bool:
    name = PurePosixPath(path)
    if name.suffix not in (_SAFE, *_PICKLED) or name.name.startswith("training_args"):
        return False
    # Beside a pipeline's folders lie files for other programs, with everything once more.
    return len(name.parts) > 1 if pipeline else not {"onnx", "openvino"} & set(name.parts)


def digest_of(file: Path, like: HubFile) -> str:
    """Compute the file's digest, of the kind that `like` has. Reads all of it."""
    digest = hashlib.sha256() if like.large else hashlib.sha1(usedforsecurity=False)
    if not like.large:
        digest.update(f"blob {file.stat().st_size}\0".encode())
    for piece in _pieces(file):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(file: Path) -> Iterable[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(CHUNK_BYTES):
            yield piece
