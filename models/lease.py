"""The right to use a model, a second try for what a lost model or full memory ended, and where both
come from.

`leasing` makes them; graphs, tools and back ends take them from a `ModelSource`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, cast

from config.errors import MotetError
from models.capabilities import Caption, Embed, Image, Rerank, Speech, Transcribe
from models.catalog.resolved import ResolvedModel
from models.catalog.spec import ModelSpec, Task

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

OUT_OF_MEMORY = "out_of_memory"
MODEL_LOST = frozenset(
    {
        "model_connection_lost",
        "ollama_unreachable",
        "openai_unreachable",
        "server_died",
        "worker_died",
    }
)
"""Codes of work that ended because its model did, as one that dies right after it was loaded."""

LeaseListener = Callable[[dict[str, Any]], None]
"""Called with each phase of a request for a lease: {"phase", "model", ...}, JSON values."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use a model until the `async with` ends. The accessor of its task works."""

    choice: ResolvedModel
    capability: object

    @property
    def model(self) -> ModelSpec:
        return self.choice.model

    @property
    def chat(self) -> BaseChatModel:
        return cast("BaseChatModel", self._of("chat"))

    @property
    def caption(self) -> Caption:
        return cast(Caption, self._of("caption"))

    @property
    def image(self) -> Image:
        return cast(Image, self._of("image"))

    @property
    def speech(self) -> Speech:
        return cast(Speech, self._of("speech"))

    @property
    def transcribe(self) -> Transcribe:
        return cast(Transcribe, self._of("transcribe"))

    @property
    def embed(self) -> Embed:
        return cast(Embed, self._of("embed"))

    @property
    def rerank(self) -> Rerank:
        return cast(Rerank, self._of("rerank"))

    def _of(self, task: Task) -> object:
        if self.model.task != task:
            raise TypeError(f"the lease of '{self.model.name}' is for {self.model.task}")
        return self.capability


class LeaseAttempt:
    """One try of a block with a lease: `async with attempt as lease`.

    When the block ends with "out_of_memory" or with an error of `MODEL_LOST` and may run again, the
    error is swallowed; for the first, room is made. `failed` holds that error then.
    """

    def __init__(
        self,
        lease: contextlib.AbstractAsyncContextManager[Lease],
        relieve: Callable[[Lease, MotetError, bool], Awaitable[MotetError]],
        last: bool,
    ) -> None:
        self.failed: MotetError | None = None
        self._lease = lease
        self._relieve = relieve
        self._last = last
        self._entered: Lease | None = None

    def keep(self) -> None:
        """Forbid a second run of the block, because it has shown something of its result."""
        self._last = True

    async def __aenter__(self) -> Lease:
        self._entered = await self._lease.__aenter__()
        return self._entered

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not (self._entered and isinstance(error, MotetError)):
            return bool(await self._lease.__aexit__(kind, error, trace))
        if error.code == OUT_OF_MEMORY:
            return await self._exit_out_of_memory(self._entered, error)
        await self._lease.__aexit__(kind, error, trace)
        if self._last or error.code not in MODEL_LOST:
            return False
        self.failed = error
        return True

    async def _exit_out_of_memory(self, entered: Lease, error: MotetError) -> bool:
        try:
            # Room is made under the lease, so that the model itself does not go meanwhile.
            explained = await self._relieve(entered, error, self._last)
        finally:
            await self._lease.__aexit__(None, None, None)
        if self._last:
            raise explained from error
        self.failed = explained
        return True


class LeaseAttempts:
    """A first attempt, and a last one when that ran out of memory or lost its model:
    `async for attempt in ...`."""

    def __init__(self, new_attempt: Callable[[bool], LeaseAttempt]) -> None:
        self._new_attempt = new_attempt
        self._attempts: list[LeaseAttempt] = []

    def __aiter__(self) -> AsyncIterator[LeaseAttempt]:
        return self

    async def __anext__(self) -> LeaseAttempt:
        before = self._attempts
        if before and not (len(before) == 1 and before[0].failed):
            raise StopAsyncIteration
        before.append(self._new_attempt(bool(before)))
        return before[-1]


NO_TENANT = ""
"""Whose the leases are that models.yaml or another model asks for: in turn with all tenants."""


class ModelSource(Protocol):
    """Where models are leased: `models.manager.Models`, or a stand-in of a test."""

    def lease(
        self,
        name: str,
        task: Task,
        *,
        tenant: str,
        on_event: LeaseListener | None = None,
    ) -> contextlib.AbstractAsyncContextManager[Lease]:
        """Get a model loaded and lease it; entering waits for it.

        Raises `Unavailable`, `NotFound`, `Busy` or `TimedOut`, as `Models.lease` does.
        """
        ...

    def attempts(
        self,
        name: str,
        task: Task,
        *,
        tenant: str,
        on_event: LeaseListener | None = None,
    ) -> AsyncIterator[LeaseAttempt]:
        """Lease a model for work that runs again if it ran out of memory or lost its model."""
        ...
