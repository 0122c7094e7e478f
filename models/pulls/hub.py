"""Models of the Hugging Face Hub, into the cache that its libraries read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from config.errors import Invalid
from models.driver import Progress
from models.workers.confinement import UNCONFINED
from models.workers.environment import HUB_NAMES, worker_environment
from models.workers.process import WorkerProcess

TARGET = "models.pulls.worker:HubHandler"
SILENCE_S = 120.0
REPOSITORY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)

BACKENDS = frozenset(
    {"transformers", "diffusers", "sentence_transformers", "cross_encoder", "faster_whisper"}
)
"""Those whose sources may name a repository of the Hub."""


@dataclass(frozen=True, slots=True)
class RepositoryListing:
    """The sizes of a repository's files in bytes by path, and the text of its config.json."""

    sizes: Mapping[str, int]
    config: str


class HubPuller:
    """Each pull in a worker process, whose end is how it is cancelled.

    Weights that are pickles are refused unless `allow_pickles`.
    """

    def __init__(self, *, allow_pickles: bool = False) -> None:
        self._allow_pickles = allow_pickles

    async def pull(self, source: str, progress: Progress) -> None:
        """`source`: "owner/name", whose main revision is taken.

        Raises `Invalid` for what is no repository's name, `Unavailable` ("hub_unreachable",
        "hub_forbidden", "model_missing", "digest_mismatch", "unsafe_weights", "storage_full").
        """
        await self._pull({"repository": source}, progress)

    async def pull_gguf(
        self, repository: str, file: str, quantisation: str, progress: Progress
    ) -> None:
        """Pull one model of a repository, by its file or its quantisation.

        Raises as `pull` does, and `NotFound` (`model_not_found`).
        """
        selection = {"file": file, "quantisation": quantisation}
        await self._pull({"repository": repository, "gguf": selection}, progress)

    async def list_files(self, repository: str) -> RepositoryListing:
        """List the files of a repository's main revision. Raises as `pull` does."""
        async with self._worker(repository) as worker:
            header = {"repository": repository}
            reply = await worker.call("list", header, timeout_s=SILENCE_S)
        sizes = {each["path"]: each["size"] for each in reply.header["files"]}
        return RepositoryListing(sizes, reply.header["config"])

    async def _pull(self, header: dict[str, Any], progress: Progress) -> None:
        async with self._worker(header["repository"]) as worker:
            async with aclosing(worker.stream("pull", header, timeout_s=SILENCE_S)) as replies:
                async for reply in replies:
                    progress(reply.header)

    @asynccontextmanager
    async def _worker(self, repository: str) -> AsyncIterator[WorkerProcess]:
        if not REPOSITORY.fullmatch(repository):
            raise Invalid(
                f"'{repository}' names no repository of the Hugging Face Hub: that is owner/name.",
                code="not_pullable",
                details={"source": repository},
            )
        worker = await WorkerProcess.start(
            TARGET,
            name=f"pull {repository}",
            options={"allow_pickles": self._allow_pickles},
            env=worker_environment(HUB_NAMES),
            confinement=UNCONFINED,
        )
        try:
            yield worker
        finally:
            await worker.stop(grace_s=0)
