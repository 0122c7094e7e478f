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
import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from config.errors import Busy, Invalid, NotFound, Unavailable
from config.files import remove_path, replace_file, set_aside, storage_errors
from tools.artifact_record import (
    CONTENT_HASH,
    MEDIA_TYPE,
    Artifact,
    damaged,
    description_of,
    digest_file,
    list_descriptions,
    read_artifact,
    stamp_of,
)

log = logging.getLogger(__name__)

TENANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
KNOWN_DIGESTS = 10_000
"""Files whose digest is known as long as they do not change: none is read twice."""
MAX_PROBLEMS = 100
"""Damaged artifacts that are logged and remembered; `list_damaged` finds all."""


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
        self._digest = lru_cache(KNOWN_DIGESTS)(digest_file)
        self._problems: dict[Path, Unavailable] = {}
        # Writers run in threads; they must agree on what exists and on the room that is left.
        self._writing = threading.Lock()

    async def put(
        self,
        data: bytes,
        *,
        media_type: str,
        provenance: Mapping[str, Any] | None = None,
        tenant: str,
    ) -> Artifact:
        """Store bytes; on return they survive a killed process, with `fsync` a power loss.

        The first provenance of the same bytes stays; a damaged artifact is written anew. Raises
        `Invalid` (`too_large`), `Busy` (`artifact_storage_full`) when the tenant's room is used up,
        and `Unavailable` (`storage_full` and others) when the disk does not take it.
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

    async def get(self, id: str, *, tenant: str) -> Artifact:
        """Return what an artifact is; its bytes are at `path`.

        Raises `NotFound` (`artifact_not_found`), and `Unavailable` (`artifact_damaged`) for one
        that is not its digest, or whose description is not whole.
        """
        path = _path_of(self._tenant_folder(tenant), id)
        artifact = await asyncio.to_thread(self._read_checked, path) if path else None
        if artifact is None:
            raise _not_found(id)
        return artifact

    async def read(self, id: str, *, tenant: str) -> bytes:
        """Return the bytes of an artifact. Raises as `get` does."""
        artifact = await self.get(id, tenant=tenant)
        with storage_errors("The artifact", "read"):
            return await asyncio.to_thread(artifact.path.read_bytes)

    async def list_older(self, before: float, tenant: str | None) -> Sequence[Artifact]:
        """List what was last written before an epoch second, of one tenant or of all (None)."""
        folders = self._folder.glob("*") if tenant is None else [self._tenant_folder(tenant)]
        return await asyncio.to_thread(self._list_older, list(folders), before)

    async def list(self, *, tenant: str, limit: int = 100, offset: int = 0) -> Sequence[Artifact]:
        """List artifacts of a tenant, the newest first; damaged ones are left out."""
        folder = self._tenant_folder(tenant)
        return await asyncio.to_thread(self._list_page, folder, limit, offset)

    async def delete(self, id: str, *, tenant: str) -> None:
        """Delete an artifact, whoever names it, also a damaged one.

        Raises `NotFound` (`artifact_not_found`), and `Unavailable` when the disk refuses it.
        """
        path = _path_of(self._tenant_folder(tenant), id)
        if path is None or not await asyncio.to_thread(self._delete, path):
            raise _not_found(id)

    async def delete_older(self, artifact: Artifact, before: float) -> bool:
        """Delete an artifact unless it was written again since `before`; return whether it was."""
        return await asyncio.to_thread(self._delete, artifact.path, before)

    def problems(self) -> Sequence[Unavailable]:
        """Return what is damaged, as far as somebody has asked for it since the start."""
        return tuple(self._problems.values())

    def _delete(self, path: Path, before: float | None = None) -> bool:
        description, folder = description_of(path), path.parent.parent
        with self._writing, storage_errors("The artifact", "deleted"):
            if not os.path.lexists(description):
                return False
            if before and description.lstat().st_mtime >= before:
                return False
            remove_path(description)
            size_bytes = path.lstat().st_size if os.path.lexists(path) else 0
            remove_path(path)
            if folder in self._used_bytes:
                self._used_bytes[folder] -= size_bytes
            self._problems.pop(path, None)
        return True

    def _tenant_folder(self, tenant: str) -> Path:
        if not TENANT_NAME.fullmatch(tenant):
            raise Invalid(f"'{tenant[:80]}' cannot name a tenant.", details={"field": "tenant"})
        # Some disks take names that differ by case for one; no name of a tenant has a `+`.
        return self._folder / re.sub("[A-Z]", lambda letter: f"+{letter[0].lower()}", tenant)

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
        with self._writing:
            if known := self._read_known(path):
                return known
            used = self._room_for(len(data), folder)
            with storage_errors("The artifact"):
                self._write(artifact, data)
            self._used_bytes[folder] = used + len(data)
            self._problems.pop(path, None)
        return artifact

    def _read_known(self, path: Path) -> Artifact | None:
        """Return an artifact that is written again; one that is damaged is to be replaced."""
        try:
            known = self._read_checked(path)
        except Unavailable as error:
            set_aside(description_of(path), error.code)
            if path.is_dir():
                set_aside(path, error.code)
            return None
        if known:
            # Written anew: it is not old any more for who deletes what is old.
            with storage_errors("The artifact"):
                os.utime(description_of(path))
        return known

    def _read_checked(self, path: Path) -> Artifact | None:
        """Read what an artifact is. Raises `Unavailable` where its bytes are not its digest."""
        try:
            artifact = read_artifact(path)
            if artifact and self._digest(stamp_of(path)) != path.name:
                raise damaged(path, "its bytes are not what was stored")
        except Unavailable as error:
            self._note(path, error)
            raise
        self._problems.pop(path, None)
        return artifact

    def _note(self, path: Path, error: Unavailable) -> None:
        """Log a damaged artifact when it is met first."""
        if path not in self._problems and len(self._problems) < MAX_PROBLEMS:
            self._problems[path] = error
            log.error("%s: %s", path, error.message)

    def _read_whole(self, descriptions: Iterable[Path]) -> Iterator[Artifact]:
        """Read artifacts by their descriptions, without those that are damaged or gone."""
        for description in descriptions:
            path = description.with_suffix("")
            try:
                if artifact := read_artifact(path):
                    yield artifact
            except Unavailable as error:
                self._note(path, error)

    def _list_older(self, folders: Iterable[Path], before: float) -> Sequence[Artifact]:
        described = (entry for folder in folders for entry in list_descriptions(folder))
        return [*self._read_whole(file for mtime_ns, file in described if mtime_ns < before * 1e9)]

    def _list_page(self, folder: Path, limit: int, offset: int) -> Sequence[Artifact]:
        newest = sorted(list_descriptions(folder), reverse=True)[offset : offset + limit]
        return [*self._read_whole(file for _, file in newest)]

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

    def _write(self, artifact: Artifact, data: bytes) -> None:
        """Write the bytes, then the description; neither stays where the other does not fit."""
        description = orjson.dumps(artifact.as_dict(), option=orjson.OPT_INDENT_2)
        try:
            replace_file(artifact.path, data, durable=self._fsync)
            replace_file(description_of(artifact.path), description, durable=self._fsync)
        except OSError:
            with suppress(OSError):
                artifact.path.unlink()
            raise


def _path_of(folder: Path, id: str) -> Path | None:
    return folder / id[:2] / id if CONTENT_HASH.fullmatch(id) else None


def _not_found(id: str) -> NotFound:
    return NotFound(
        f"There is no artifact '{id[:80]}'.",
        code="artifact_not_found",
        details={"field": "artifact"},
    )


def _sweep(folder: Path) -> int:
    """Count the bytes used in a folder, cleared of what a killed process left half-written."""
    for part in folder.glob("??/.*.part"):
        part.unlink(missing_ok=True)
    return sum(
        file.stat().st_size for file in folder.glob("??/*") if CONTENT_HASH.fullmatch(file.name)
    )
