"""What an artifact is, and how its description and its bytes are read from the disk and checked.

Owns the format of the description. Where artifacts lie, and who writes them, is `artifacts`'s.
Invariant: bytes that are not their digest, and a description that is not whole, are never returned.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from config.errors import Unavailable
from config.files import read_file

CONTENT_HASH = re.compile(r"[0-9a-f]{64}")
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*(;[\x20-\x7e]*)?")
MAX_DESCRIPTION_BYTES = 2**24
"""Of a description; what is larger was not written by us."""

SUFFIXES = {"audio/wav": ".wav", "audio/ogg": ".ogg", "audio/flac": ".flac"}
"""Of media types that the standard library names otherwise, or not at all."""


@dataclass(frozen=True)
class Artifact:
    """One artifact. `path` holds the bytes and is never changed; it stays with the server."""

    id: str
    media_type: str
    size_bytes: int
    created_at: str
    provenance: dict[str, Any]
    path: Path

    @property
    def filename(self) -> str:
        """A name for the file: after what its provenance calls it, or what made it."""
        called = str(self.provenance.get("name") or "")
        words = "-".join(re.findall(r"[^\W_]+", called.lower()))[:80].strip("-")
        made_by = str(self.provenance.get("tool") or "artifact")
        return f"{words or f'{made_by}-{self.id[:8]}'}{_file_suffix(self.media_type)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the artifact as JSON, without its path on disk."""
        return {
            "id": self.id,
            "media_type": self.media_type,
            "size_bytes": self.size_bytes,
            "created_at": self.created_at,
            "provenance": self.provenance,
        }


class _Description(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: str
    media_type: str
    size_bytes: int
    created_at: str
    provenance: dict[str, Any]


class FileStamp(NamedTuple):
    """What differs when a file's bytes do; equal stamps are not read twice."""

    path: Path
    size_bytes: int
    mtime_ns: int
    inode: int


def description_of(path: Path) -> Path:
    """Return the path of the description that belongs to these bytes."""
    return path.with_suffix(".json")


def read_artifact(path: Path) -> Artifact | None:
    """Read the description of the bytes at `path`; None where there is none.

    Looks at the size of the bytes, not at the bytes. Raises `Unavailable` (`artifact_damaged`).
    """
    try:
        description = _read_description(description_of(path))
        size_bytes = path.stat().st_size
    except FileNotFoundError:
        if description_of(path).exists():
            raise damaged(path, "its bytes are missing") from None
        return None
    except OSError as error:
        raise damaged(path, "it cannot be read") from error
    except (ValueError, ValidationError) as error:
        raise damaged(path, "its description is not whole") from error
    if description.id != path.name or not MEDIA_TYPE.fullmatch(description.media_type):
        raise damaged(path, "its description is another one's")
    if description.size_bytes != size_bytes:
        raise damaged(path, f"it has {size_bytes} bytes instead of {description.size_bytes}")
    return Artifact(**description.model_dump(), path=path)


def stamp_of(path: Path) -> FileStamp:
    """Look at a file. Raises `Unavailable` (`artifact_damaged`) where that fails."""
    try:
        status = path.stat()
    except OSError as error:
        raise damaged(path, "its bytes cannot be read") from error
    return FileStamp(path, status.st_size, status.st_mtime_ns, status.st_ino)


def digest_file(stamp: FileStamp) -> str:
    """Compute the digest of a file's bytes. Blocks; raises `Unavailable` (`artifact_damaged`)."""
    try:
        with stamp.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise damaged(stamp.path, "its bytes cannot be read") from error


def damaged(path: Path, reason: str) -> Unavailable:
    """Return the error of an artifact that is not what it was."""
    return Unavailable(
        f"The artifact '{path.name}' is damaged: {reason}. Store the same file again, or delete "
        "the artifact.",
        code="artifact_damaged",
        details={"field": "artifact", "artifact": path.name},
        permanent=True,
    )


def list_descriptions(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the descriptions in a tenant's folder, each with when it was last written."""
    for file in folder.glob("??/*.json"):
        try:
            yield file.lstat().st_mtime_ns, file
        except FileNotFoundError:  # deleted meanwhile
            continue


def list_damaged(folder: Path) -> Iterator[Unavailable]:
    """Look at the descriptions and sizes below a folder; blocks, and does not read the bytes."""
    for path in list_artifact_paths(folder):
        try:
            read_artifact(path)
        except Unavailable as error:
            yield error


def list_artifact_paths(folder: Path) -> list[Path]:
    """List where the bytes of all tenants' artifacts are, below a folder."""
    return sorted(file.with_suffix("") for file in folder.glob("*/??/*.json"))


def check_artifact(path: Path) -> Unavailable | None:
    """Read the bytes at `path` and return what is wrong; None also where they are gone. Blocks."""
    try:
        artifact = read_artifact(path)
        if artifact and digest_file(stamp_of(path)) != path.name:
            raise damaged(path, "its bytes are not what was stored")
    except Unavailable as error:
        # Deleted while it was read, it is not damaged.
        return error if description_of(path).exists() else None
    return None


def _read_description(file: Path) -> _Description:
    if file.stat().st_size > MAX_DESCRIPTION_BYTES:
        raise ValueError("too large")
    return _Description.model_validate(orjson.loads(read_file(file)))


def _file_suffix(media_type: str) -> str:
    kind = media_type.partition(";")[0].strip()
    return SUFFIXES.get(kind) or mimetypes.guess_extension(kind) or ""
