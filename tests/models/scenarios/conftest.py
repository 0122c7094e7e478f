"""Opens the real manager over real workers, and sees that no process is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.scenarios.machine import children
from tests.support.scenarios.stage import Stage, open_stage
from tests.support.socket_gate import SocketGate, open_socket_gate

Open = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before, "a process was left behind"


@pytest.fixture
def stage(tmp_path: Path) -> Open:
    """`async with stage({"name": mb(100)}, total_mb=500) as stage: ...`"""

    def opened(models: dict[str, Any], **fields: Any) -> AbstractAsyncContextManager[Stage]:
        return open_stage(tmp_path, models, **fields)

    return opened


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[SocketGate]:
    """A gate at which one worker waits for the test."""
    async with open_socket_gate(tmp_path) as gate:
        yield gate
