"""The embedded reader: the last model of the role `chat`, on every machine there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from config.errors import MotetError
from models.backends.common.options import Options
from models.catalog.spec import ModelSpec, Task
from models.driver import DriverContext, Progress
from models.scheduling.requirement import MemoryRequirement

if TYPE_CHECKING:
    from models.backends.reader.chat import ReaderChat


class ReaderOptions(Options):
    """`options:` of a model of this back end."""

    embed: str = Field("embed", description="The role or embedding model that it compares with.")


class ReaderModel:
    """It holds nothing itself: each answer leases the embedder."""

    memory: Mapping[str, int] = {}
    lost: asyncio.Future[str] | None = None

    def __init__(self, chat: ReaderChat) -> None:
        self._chat = chat

    @property
    def capability(self) -> ReaderChat:
        return self._chat

    async def unload(self) -> None:
        pass


class ReaderDriver:
    def __init__(self, context: DriverContext) -> None:
        self._models = context.models

    async def available(self, spec: ModelSpec) -> str | None:
        try:
            ReaderOptions.of(spec.name, spec.options)
        except MotetError as error:
            return error.message
        return None

    async def discover(self, task: Task) -> Sequence[ModelSpec]:
        return ()

    def named(self, source: str, task: Task) -> ModelSpec | None:
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return [MemoryRequirement()]

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> ReaderModel:
        from models.backends.reader.chat import ReaderChat  # langchain's chat models: 0.3 s

        options = ReaderOptions.of(spec.name, spec.options)
        lease = partial(self._models.lease, options.embed, "embed")
        return ReaderModel(ReaderChat(name=spec.name, lease_embed=lease))

    async def close(self) -> None:
        pass
