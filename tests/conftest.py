"""What every ring of tests shares."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["tests.support.fixtures"]

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
