"""A model in a worker that serves it on a UNIX socket, and the socket's folder.

Owns the worker, the folder and the connections to it. Invariant: the folder is its owner's alone,
and gone when the worker is.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from models.backends.common.worker_model import WorkerModel
from models.scheduling.requirement import MemoryRequirement
from models.workers.process import WorkerProcess

SOCKET = "m.sock"
"""llama.cpp takes an address for a path by this ending."""
MAX_PATH_BYTES = 100
"""The kernel's bound is 104 to 108 bytes."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a loaded model can do. `context` is that of each slot."""

    context: int
    sees: bool
    takes_tools: bool


class Connected(Protocol):
    """A capability that has connections."""

    async def aclose(self) -> None: ...


class LlamaCppModel(WorkerModel):
    """The loaded model. `capability` talks to its worker by the socket."""

    def __init__(
        self, worker: WorkerProcess, need: MemoryRequirement, capability: Connected
    ) -> None:
        super().__init__(worker, need)
        self.capability = capability

    async def unload(self) -> None:
        await self.capability.aclose()
        await super().unload()


def make_socket_folder() -> Path:
    """Make a folder for one socket, which nobody else can enter; remove it with the worker."""
    folder = Path(tempfile.mkdtemp(prefix="motet-"))
    if len(str(folder / SOCKET).encode()) <= MAX_PATH_BYTES:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="motet-", dir="/tmp"))


def remove_with(worker: WorkerProcess, folder: Path) -> None:
    """Remove the folder when the worker has ended, however it does."""

    def remove(exited: asyncio.Future[Any]) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    worker.exited.add_done_callback(remove)
