"""A real server on loopback whose answers are written byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.site import LOOPBACK, Site, serving
from tools.safe_fetch import FetchLimits


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(Site()) as running:
        yield running


@pytest.fixture
def loopback() -> FetchLimits:
    """Limits that let a test reach the server above and nothing else."""
    return FetchLimits(allowed_networks=(LOOPBACK,), timeout_s=60)
