"""Opening and closing the parts of the service, each told in the log with the time it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

log = logging.getLogger(__name__)

Part = TypeVar("Part")


class PartStack(AsyncExitStack):
    """An exit stack that logs, a line for each part; the last part opened is closed first."""

    async def open_part(self, name: str, part: AbstractAsyncContextManager[Part]) -> Part:
        """Open a part, and close it with the stack."""
        started_s = time.monotonic()
        opened = await part.__aenter__()
        log.info("opened %s (%.2f s)", name, time.monotonic() - started_s)
        self.push_async_exit(_LoggedExit(name, part))
        return opened

    def close_later(self, name: str, close: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Call `close` with the stack, for a part that needs no opening."""
        self.push_async_callback(_close, name, close, *arguments)


@dataclass(frozen=True)
class _LoggedExit:
    name: str
    part: AbstractAsyncContextManager[Any]

    async def __call__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        started_s = time.monotonic()
        try:
            return await self.part.__aexit__(kind, error, traceback)
        finally:
            _log_closed(self.name, started_s)


async def _close(name: str, close: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
    started_s = time.monotonic()
    try:
        await close(*arguments)
    finally:
        _log_closed(name, started_s)


def _log_closed(name: str, started_s: float) -> None:
    log.info("closed %s (%.2f s)", name, time.monotonic() - started_s)
