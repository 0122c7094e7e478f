"""Models of the Hugging Face Hub, into the cache that its libraries read."""

from __future__ import annotations

import re
from contextlib import aclosing

from config.errors import Invalid
from models.driver import Progress
from models.workers.confinement import UNCONFINED
from models.workers.environment import HUB_NAMES, worker_environment
from models.workers.process import WorkerProcess

TARGET = "models.pulls.worker:HubHandler"
SILENCE_S = 120.0
REPOSITORY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)

BACKENDS = frozenset({"transformers", "diffusers", "sentence_transformers", "cross_encoder"})
"""Those whose sources may name a repository of the Hub."""


class HubPuller:
    """Each pull in a worker process, whose end is how it is cancelled.

    Weights that are pickles are refused unless `allow_pickles`.
    """

    def __init__(self, *, allow_pickles: bool = False) -> None:
        self._allow_pickles = allow_pickles

    async def pull(self, source: str, progress: Progress) -> None:
        """`source`: "owner/name", whose main revision is taken.

        Raises `Invalid` for what is no repository's name, `Unavailable` ("hub_unreachable",
        "hub_forbidden", "model_missing", "digest_mismatch", "unsafe_weights").
        """
        if not REPOSITORY.fullmatch(source):
            raise Invalid(
                f"'{source}' names no repository of the Hugging Face Hub: that is owner/name.",
                code="not_pullable",
                details={"source": source},
            )
        worker = await WorkerProcess.start(
            TARGET,
            name=f"pull {source}",
            options={"allow_pickles": self._allow_pickles},
            env=worker_environment(HUB_NAMES),
            confinement=UNCONFINED,
        )
        try:
            header = {"repository": source}
            async with aclosing(worker.stream("pull", header, timeout_s=SILENCE_S)) as replies:
                async for reply in replies:
                    progress(reply.header)
        finally:
            await worker.stop(grace_s=0)
