"""The files of a model and what they say of it, read once for each file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from config.errors import Unavailable
from models.backends.common.gguf import GgufHeader, read_header
from models.backends.llamacpp.pulled_files import require_files

CACHED_HEADERS = 64


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What a model is loaded from. `size_bytes` are those of all its files, the projector's too."""

    model: Path
    projector: Path | None
    header: GgufHeader
    size_bytes: int

    @property
    def has_chat_template(self) -> bool:
        return "tokenizer.chat_template" in self.header.fields


class ModelFilesReader:
    """Finds and reads the files of models below a data folder and elsewhere."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._headers = lru_cache(CACHED_HEADERS)(_read_if_same)

    def read(self, name: str, source: str, projector: Path | None = None) -> ModelFiles:
        """Find a model's files and read their header. `projector` is used for a pulled one.

        Blocks some hundredths of a second for a file that is not known yet. Raises `Unavailable`
        ("model_missing", "model_unreadable") and `Invalid` (`invalid_model_source`).
        """
        files = require_files(name, source, self._home)
        try:
            status = files.model.stat()
            header = self._headers(files.model, status.st_ino, status.st_size, status.st_mtime_ns)
            size_bytes = files.size_bytes + (projector.stat().st_size if projector else 0)
        except (OSError, ValueError) as error:
            raise _unreadable(files.model, error) from error
        return ModelFiles(files.model, projector or files.projector, header, size_bytes)


def _read_if_same(path: Path, inode: int, size_bytes: int, changed_ns: int) -> GgufHeader:
    """Read a header. The other arguments tell the file from one that had its name before."""
    return read_header(path)


def _unreadable(path: Path, error: OSError | ValueError) -> Unavailable:
    reason = error.strerror if isinstance(error, OSError) else error
    return Unavailable(
        f"{path} cannot be read: {reason}.",
        code="model_unreadable",
        details={"source": str(path)},
    )
