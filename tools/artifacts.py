"""Artifacts: bytes named by their content, with media type, size and provenance.

    <folder>/<tenant>/<first two digits>/<sha256>         the bytes
    <folder>/<tenant>/<first two digits>/<sha256>.json    what they are

Invariants: the JSON is written last, and an artifact without it does not exist. Writing the same
bytes again changes nothing but when they were last written, so a step that runs twice leaves one
artifact. The JSON goes first when an artifact is deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from config.errors import Busy, Invalid, NotFound
from config.files import sync_path

CONTENT_HASH = re.compile(r"[0-9a-f]{64}")
TENANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*(;[\x20-\x7e]*)?")

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


class Artifacts:
    """Stores the artifacts below one folder, apart for each tenant.

    One process writes. `fsync` makes an artifact survive a power loss, not just a killed process.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = 256 * 2**20,
        max_tenant_bytes: int = 20 * 2**30,
        fsync: bool = False,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_tenant_bytes = max_tenant_bytes
        self._fsync = fsync
        self._used_bytes: dict[Path, int] = {}
        # Writers run in threads; they must agree on what exists and on the room that is left.
        self._writing = threading.Lock()

    async def put(
        self,
        data: bytes,
        *,
        media_type: str,
        provenance: Mapping[str, Any] | None = None,
        tenant: str = "default",
    ) -> Artifact:
        """Store bytes; on return they survive a killed process, with `fsync` a power loss.

        The first provenance of the same bytes stays. Raises `Invalid` (`too_large`), or `Busy`
        (`artifact_storage_full`) when the tenant's room is used up.
        """
        if not MEDIA_TYPE.fullmatch(media_type):
            raise Invalid(f"'{media_type}' is no media type.", details={"field": "media_type"})
        if len(data) > self._max_bytes:
            raise Invalid(
                f"An artifact has at most {self._max_bytes} bytes; this one has {len(data)}.",
                code="too_large",
                details={"max_bytes": self._max_bytes, "size_bytes": len(data)},
            )
        folder = self._tenant_folder(tenant)
        return await asyncio.to_thread(self._put, folder, data, media_type, dict(provenance or {}))

    async def get(self, id: str, *, tenant: str = "default") -> Artifact:
        """Return what an artifact is; its bytes are at `path`. Raises `NotFound`
        (`artifact_not_found`).
        """
        path = _path_of(self._tenant_folder(tenant), id)
        artifact = await asyncio.to_thread(_read_description, path) if path else None
        if artifact is None:
            raise NotFound(
                f"There is no artifact '{id[:80]}'.",
                code="artifact_not_found",
                details={"field": "artifact"},
            )
        return artifact

    async def read(self, id: str, *, tenant: str = "default") -> bytes:
        """Return the bytes of an artifact. Raises `NotFound` (`artifact_not_found`)."""
        artifact = await self.get(id, tenant=tenant)
        return await asyncio.to_thread(artifact.path.read_bytes)

    async def list_older(self, before: float, tenant: str | None) -> list[Artifact]:
        """List what was last written before an epoch second, of one tenant or of all (None)."""
        folders = self._folder.glob("*") if tenant is None else [self._tenant_folder(tenant)]
        return await asyncio.to_thread(_list_older, list(folders), before)

    async def list(
        self, *, tenant: str = "default", limit: int = 100, offset: int = 0
    ) -> list[Artifact]:
        """List artifacts of a tenant, the newest first."""
        folder = self._tenant_folder(tenant)
        return await asyncio.to_thread(_list_page, folder, limit, offset)

    async def delete(self, id: str, *, tenant: str = "default") -> None:
        """Delete an artifact, whoever names it. Raises `NotFound` (`artifact_not_found`)."""
        artifact = await self.get(id, tenant=tenant)
        await asyncio.to_thread(self._delete, artifact)

    async def delete_older(self, artifact: Artifact, before: float) -> bool:
        """Delete an artifact unless it was written again since `before`; return whether it was."""
        return await asyncio.to_thread(self._delete, artifact, before)

    def _delete(self, artifact: Artifact, before: float | None = None) -> bool:
        description, folder = artifact.path.with_suffix(".json"), artifact.path.parent.parent
        with self._writing:
            if not description.exists() or (before and description.stat().st_mtime >= before):
                return False
            description.unlink()
            artifact.path.unlink(missing_ok=True)
            if folder in self._used_bytes:
                self._used_bytes[folder] -= artifact.size_bytes
        return True

    def _tenant_folder(self, tenant: str) -> Path:
        if not TENANT_NAME.fullmatch(tenant):
            raise Invalid(f"'{tenant[:80]}' cannot name a tenant.", details={"field": "tenant"})
        return self._folder / tenant

    def _put(
        self, folder: Path, data: bytes, media_type: str, provenance: dict[str, Any]
    ) -> Artifact:
        id = hashlib.sha256(data).hexdigest()
        path = folder / id[:2] / id
        artifact = Artifact(
            id=id,
            media_type=media_type,
            size_bytes=len(data),
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            provenance=provenance,
            path=path,
        )
        description = orjson.dumps(artifact.as_dict(), option=orjson.OPT_INDENT_2)
        with self._writing:
            if known := _read_description(path):
                # Written anew: it is not old any more for who deletes what is old.
                os.utime(path.with_suffix(".json"))
                return known
            used = self._room_for(len(data), folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(path, data)
            self._write(path.with_suffix(".json"), description)
            self._used_bytes[folder] = used + len(data)
        return artifact

    def _room_for(self, size_bytes: int, folder: Path) -> int:
        """Return the bytes used until now; the first call for a folder counts them.

        Raises `Busy` (`artifact_storage_full`) when `size_bytes` more do not fit.
        """
        if folder not in self._used_bytes:
            self._used_bytes[folder] = _sweep(folder)
        used = self._used_bytes[folder]
        if used + size_bytes > self._max_tenant_bytes:
            raise Busy(
                f"The artifacts use {used} of {self._max_tenant_bytes} bytes: "
                f"there is no room for {size_bytes} more.",
                code="artifact_storage_full",
                details={"used_bytes": used, "max_bytes": self._max_tenant_bytes},
            )
        return used

    def _write(self, path: Path, data: bytes) -> None:
        """Write beside, then rename: a reader sees all of the file or none."""
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                if self._fsync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(name, path)
            if self._fsync:
                sync_path(path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _file_suffix(media_type: str) -> str:
    kind = media_type.partition(";")[0].strip()
    return SUFFIXES.get(kind) or mimetypes.guess_extension(kind) or ""


def _path_of(folder: Path, id: str) -> Path | None:
    return folder / id[:2] / id if CONTENT_HASH.fullmatch(id) else None


def _read_description(path: Path) -> Artifact | None:
    try:
        fields = orjson.loads(path.with_suffix(".json").read_bytes())
    except FileNotFoundError:
        return None
    return Artifact(**fields, path=path)


def _sweep(folder: Path) -> int:
    """Count the bytes used in a folder, cleared of what a killed process left half-written."""
    for part in folder.glob("??/.*.part"):
        part.unlink()
    return sum(
        file.stat().st_size for file in folder.glob("??/*") if CONTENT_HASH.fullmatch(file.name)
    )


def _list_older(folders: list[Path], before: float) -> list[Artifact]:
    described = (file for folder in folders for file in folder.glob("??/*.json"))
    old = [file for file in described if file.stat().st_mtime < before]
    artifacts = (_read_description(file.with_suffix("")) for file in old)
    return [artifact for artifact in artifacts if artifact]


def _list_page(folder: Path, limit: int, offset: int) -> list[Artifact]:
    described = [(file.stat().st_mtime_ns, file) for file in folder.glob("??/*.json")]
    newest = sorted(described, reverse=True)[offset : offset + limit]
    artifacts = (_read_description(file.with_suffix("")) for _, file in newest)
    return [artifact for artifact in artifacts if artifact]
