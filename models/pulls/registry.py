"""Models of registries that speak Ollama's protocol, into the data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from models.driver import Progress
from models.workers.confinement import UNCONFINED
from models.workers.environment import PROXY_NAMES, worker_environment
from models.workers.process import WorkerProcess

TARGET = "models.pulls.registry_worker:RegistryHandler"
SILENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class TagDescription:
    """What a tag's weights take, with a projector, and its sampling parameters as JSON."""

    size_bytes: int
    params: str


class RegistryPuller:
    """Each pull in a worker process, whose end is how it is cancelled. `folder` is the store's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def pull(self, registry: str, name: str, tag: str, progress: Progress) -> None:
        """Pull a tag as `Puller.pull` does; `registry` is its address.

        Raises `NotFound` (`model_not_found`), `Invalid` (`not_pullable`) and `Unavailable`
        (`registry_unreachable`, `registry_forbidden`, `digest_mismatch`, `pull_failed`,
        `storage_full`).
        """
        header = _header(registry, name, tag)
        async with self._worker(name) as worker:
            async with aclosing(worker.stream("pull", header, timeout_s=SILENCE_S)) as replies:
                async for reply in replies:
                    progress(reply.header)

    async def describe(self, registry: str, name: str, tag: str) -> TagDescription:
        """Say what a tag is. Raises as `pull` does."""
        async with self._worker(name) as worker:
            header = _header(registry, name, tag)
            reply = await worker.call("list", header, timeout_s=SILENCE_S)
        return TagDescription(reply.header["bytes"], reply.header["params"])

    @asynccontextmanager
    async def _worker(self, name: str) -> AsyncIterator[WorkerProcess]:
        worker = await WorkerProcess.start(
            TARGET,
            name=f"pull {name}",
            options={"folder": str(self._folder)},
            env=worker_environment(PROXY_NAMES),
            confinement=UNCONFINED,
        )
        try:
            yield worker
        finally:
            await worker.stop(grace_s=0)


def _header(registry: str, name: str, tag: str) -> dict[str, str]:
    host = registry.partition("://")[2]
    return {"registry": registry, "host": host, "name": name, "tag": tag}
