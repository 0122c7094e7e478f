"""The embedded reader: the last model of the role `chat`, on every machine there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from models.backends.common.base_driver import BaseDriver
from models.backends.common.options import Options
from models.catalog.spec import ModelSpec
from models.driver import Progress
from models.lease import NO_TENANT
from models.scheduling.requirement import MemoryRequirement

if TYPE_CHECKING:
    from models.backends.reader.chat import LeaseEmbed, ReaderChat


class ReaderOptions(Options):
    """`options:` of a model of this back end."""

    embed: str = Field("embed", description="The role or embedding model that it compares with.")


class ReaderModel:
    """Holds no memory itself: each answer leases the embedder."""

    memory: Mapping[str, int] = {}
    lost: asyncio.Future[str] | None = None

    def __init__(self, chat: ReaderChat) -> None:
        self._chat = chat

    @property
    def capability(self) -> ReaderChat:
        return self._chat

    async def unload(self) -> None:
        pass


class ReaderDriver(BaseDriver):
    """Makes a reader over whichever embedding model its options name."""

    backend = "reader"
    tasks = ("chat",)

    def find_problem(self, spec: ModelSpec) -> str | None:
        ReaderOptions.of(spec.name, spec.options)
        return None

    def estimate(self, spec: ModelSpec) -> Sequence[MemoryRequirement]:
        return [MemoryRequirement()]

    async def load(
        self, spec: ModelSpec, need: MemoryRequirement, progress: Progress
    ) -> ReaderModel:
        options = ReaderOptions.of(spec.name, spec.options)
        lease = partial(self._context.models.lease, options.embed, "embed", tenant=NO_TENANT)
        return ReaderModel(await asyncio.to_thread(_make_chat, spec.name, lease))


def _make_chat(name: str, lease: LeaseEmbed) -> ReaderChat:
    """Make the chat; blocks for 0.3 s the first time, which imports LangChain's chat models."""
    from models.backends.reader.chat import ReaderChat

    return ReaderChat(name=name, lease_embed=lease)
