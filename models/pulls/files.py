"""Which files of a repository are the model, and whether they are what they should be. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from config.errors import Unavailable

CHUNK_BYTES = 2**20
_SAFE = ".safetensors"
_PICKLED = (".bin", ".pth", ".pt")
_SMALL = (".json", ".txt", ".model", ".jinja", ".yaml", ".vocab", ".tiktoken", ".spm")
_DIGEST = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_VARIANT = re.compile(r"\.(fp16|fp32|bf16|non_ema|ema|int8)[.-]")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its source lists it.

    `digest` is the file's SHA-256 where `large`, else the SHA-1 that git names it by."""

    path: str
    size: int
    digest: str
    large: bool


def select_files(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Select what a library loads: configurations, and weights once, safetensors if there are any.

    Left out are other formats of the same weights, and variants of their precision.
    """
    pipeline = any(file.path == "model_index.json" for file in files)
    weights = [file for file in files if _is_weight(file.path, pipeline)]
    safe = [file for file in weights if file.path.endswith(_SAFE)]
    plain = [file for file in safe or weights if not _VARIANT.search(file.path)]
    small = [file for file in files if file.path.endswith(_SMALL) and not file.path.startswith(".")]
    return [*small, *(plain or safe or weights)]


def check_files(repository: str, files: Sequence[RemoteFile], allow_pickles: bool) -> None:
    """Raise `Unavailable` for files that may not be here: `unsafe_weights` for pickles that are not
    allowed, `digest_mismatch` for names and digests that no repository has."""
    for file in files:
        parts = PurePosixPath(file.path).parts
        if not parts or ".." in parts or file.path.startswith("/") or "\\" in file.path:
            raise _unusable(repository, f"a file named '{file.path[:80]}'")
        if not _DIGEST.fullmatch(file.digest):
            raise _unusable(repository, f"'{file.path[:80]}' without a digest")
    pickled = next((file.path for file in files if _is_pickle(file.path, files)), None)
    if pickled and not allow_pickles:
        raise Unavailable(
            f"'{repository}' has its weights as pickles ({pickled}), which can run code when they "
            "are read. Take a model with safetensors, or set `allow_pickles: true` for its back "
            "end, under `backends:` of models.yaml.",
            code="unsafe_weights",
            details={"repository": repository, "file": pickled},
            permanent=True,
        )


def _is_pickle(path: str, files: Sequence[RemoteFile]) -> bool:
    # CTranslate2 calls its weights so, beside a vocabulary; no library reads them as a pickle.
    if path == "model.bin" and any(file.path.startswith("vocabulary.") for file in files):
        return False
    return path.endswith(_PICKLED)


def _unusable(repository: str, what: str) -> Unavailable:
    return Unavailable(
        f"The Hub lists {what} in '{repository}', which cannot be. Nothing of it was taken.",
        code="digest_mismatch",
        details={"repository": repository},
    )


def _is_weight(path: str, pipeline: bool) -> bool:
    name = PurePosixPath(path)
    if name.suffix not in (_SAFE, *_PICKLED) or name.name.startswith("training_args"):
        return False
    # Beside a pipeline's folders lie files for other programs, with everything once more.
    return len(name.parts) > 1 if pipeline else not {"onnx", "openvino"} & set(name.parts)


def digest_of(file: Path, like: RemoteFile, on_chunk: Callable[[], object] = lambda: None) -> str:
    """Compute the file's digest, of the kind that `like` has. Reads all of it.

    `on_chunk` is called now and then, so that somebody can be told that this goes on.
    """
    digest = hashlib.sha256() if like.large else hashlib.sha1(usedforsecurity=False)
    if not like.large:
        digest.update(f"blob {file.stat().st_size}\0".encode())
    for piece in _pieces(file):
        digest.update(piece)
        on_chunk()
    return digest.hexdigest()


def _pieces(file: Path) -> Iterable[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(CHUNK_BYTES):
            yield piece
