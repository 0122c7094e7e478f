"""Opens the real manager over real workers, and sees that no process is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.gates import Gate, new_gate
from tests.models.scenarios.machine import children
from tests.models.scenarios.stage import Stage, open_stage

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
async def held(tmp_path: Path) -> AsyncIterator[Gate]:
    """A gate at which one worker waits for the test."""
    async with new_gate(tmp_path) as gate:
        yield gate
