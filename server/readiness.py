"""Whether the service can take work, and what is amiss that does not keep it from that.

Owns the look at the disk. Who stops the service, and what is held, is the run engine's to know.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from config.errors import MotetError, Unavailable, shutting_down
from config.file_identity import FileIdentity
from config.files import DAMAGED_SUFFIX, storage_error
from runs.engine import RunEngine
from tools.artifacts import Artifacts

log = logging.getLogger(__name__)

PROBE_BYTES = 64 * 2**10
"""A disk that has not even this much room is full."""
PROBE_VALID_S = 1.0
"""How long one look at the disk answers for, however often somebody asks."""


class DiskProbe:
    """Tries whether the data folder takes a file."""

    def __init__(self, home: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._identity = FileIdentity(home)
        self._now = now
        self._lock = asyncio.Lock()
        self._tried_at = -PROBE_VALID_S
        self._refusal: Unavailable | None = None

    async def refusal(self) -> Unavailable | None:
        """Return why the disk takes no file now; None where it does."""
        async with self._lock:
            if self._now() - self._tried_at >= PROBE_VALID_S:
                error = await asyncio.to_thread(self._try)
                self._tried_at = self._now()
                if error and self._refusal is None:  # logged once, not at each look
                    self._refusal = storage_error(error, "The data folder")
                elif self._refusal and error is None:
                    self._refusal = None
                    log.warning("the data folder can be written again")
            return self._refusal

    def _try(self) -> OSError | None:
        try:
            if self._home.exists() and self._identity.is_lost():
                # The databases lie in the former one still, and go with it.
                return OSError(errno.ESTALE, "another folder stands in its place")
            # Buffered: a bare write may take a part of it, and raise nothing.
            with tempfile.TemporaryFile(dir=self._home) as file:
                file.write(b"\0" * PROBE_BYTES)
                file.flush()
        except OSError as error:
            return error
        return None


class Readiness:
    """Answers for the whole service."""

    def __init__(self, home: Path, engine: RunEngine, artifacts: Artifacts) -> None:
        self._home = home
        self._engine = engine
        self._artifacts = artifacts
        self._probe = DiskProbe(home)

    async def reasons(self) -> Sequence[MotetError]:
        """Return why the service cannot take work now."""
        reasons: list[MotetError] = [shutting_down()] if self._engine.closing else []
        if refusal := await self._probe.refusal():
            reasons.append(refusal)
        if held := self._engine.held.by_reason("storage"):
            reasons.append(
                Unavailable(
                    f"{len(held)} runs wait until the disk takes writes.", code="run_storage_failed"
                )
            )
        return reasons

    async def problems(self) -> Sequence[MotetError]:
        """Return what is damaged; all else is served."""
        problems: list[MotetError] = []
        if damaged := self._artifacts.problems():
            problems.append(
                Unavailable(
                    f"{len(damaged)} artifacts are damaged: `motet doctor` names them.",
                    code="artifact_damaged",
                )
            )
        set_aside = await asyncio.to_thread(self._list_set_aside)
        return problems + [
            Unavailable(
                f"A file was damaged, and is set aside as {name}: mend it or delete it.",
                code="file_damaged",
            )
            for name in set_aside
        ]

    def _list_set_aside(self) -> Sequence[str]:
        try:
            return sorted(path.name for path in self._home.glob(f"*{DAMAGED_SUFFIX}*"))
        except OSError:
            return ()
