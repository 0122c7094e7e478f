"""The right to use a model, and a second try for what ran out of memory."""

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

    When the block ends with "out_of_memory" and may run again, room is made and the error is
    swallowed. `failed` holds that error then.
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
        self._taken: Lease | None = None

    def keep(self) -> None:
        """The block has shown something of its result, so it must not run again."""
        self._last = True

    async def __aenter__(self) -> Lease:
        self._taken = await self._lease.__aenter__()
        return self._taken

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not (self._taken and isinstance(error, MotetError) and error.code == OUT_OF_MEMORY):
            return bool(await self._lease.__aexit__(kind, error, trace))
        try:
            # Room is made under the lease, so that the model itself does not go meanwhile.
            told = await self._relieve(self._taken, error, self._last)
        finally:
            await self._lease.__aexit__(None, None, None)
        if self._last:
            raise told from error
        self.failed = told
        return True


class OutOfMemoryRetry:
    """A first attempt, and a last one when that ran out of memory: `async for attempt in ...`."""

    def __init__(self, make: Callable[[bool], LeaseAttempt]) -> None:
        self._make = make
        self._made: list[LeaseAttempt] = []

    def __aiter__(self) -> AsyncIterator[LeaseAttempt]:
        return self

    async def __anext__(self) -> LeaseAttempt:
        if self._made and not (len(self._made) == 1 and self._made[0].failed):
            raise StopAsyncIteration
        self._made.append(self._make(bool(self._made)))
        return self._made[-1]


class ModelSource(Protocol):
    """Where models are leased: `models.manager.Models`, or a stand-in of a test."""

    def lease(
        self,
        name: str,
        task: Task,
        *,
        tenant: str = "default",
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
        tenant: str = "default",
        on_event: LeaseListener | None = None,
    ) -> AsyncIterator[LeaseAttempt]:
        """Lease a model for work that may run out of memory and then runs once more."""
        ...
