"""What the nodes of a run are given: a `RunContext` made for each attempt at a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphs.node_cache import NodeCache
from graphs.run_context import ClaimStep, RunContext
from indexes.service import Indexes
from models.manager import Models
from runs.record import Run
from server.adapters.media import PictureReader
from tools.registry import Toolbox


@dataclass(frozen=True)
class RunContextFactory:
    """Makes the contexts of all runs; `cache` is one for all of them."""

    models: Models
    indexes: Indexes
    tools: Toolbox
    picture: PictureReader
    web_hosts: tuple[str, ...] = ()
    cache: NodeCache = field(default_factory=NodeCache)

    def __call__(self, run: Run, claim_step: ClaimStep) -> RunContext:
        """Make the context of one attempt at a run."""
        return RunContext(
            models=self.models,
            indexes=self.indexes,
            tools=self.tools,
            tenant=run.tenant,
            run_id=run.run_id,
            thread_id=run.thread_id,
            cache=self.cache,
            read_picture=self.picture,
            web_hosts=self.web_hosts,
            claim_step=claim_step,
        )
