"""What all tests share: their ring, their speed, their folders and the loop they run on."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.rings import RingGuard, is_slow, ring_of, start_order

pytest_plugins = ["tests.support.fixtures"]

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Each worker of a model would have another process import torch for a next one that no test loads.
os.environ.setdefault("MOTET_SPARE_WORKER", "false")

MEMORY_FOLDER = Path("/dev/shm")
"""Folders of tests are in it: what they bring to the disk costs a wait each time."""
MIN_MEMORY_FOLDER_BYTES = 4 * 2**30
"""Free, at least; else folders are where pytest has them, as with PYTEST_DEBUG_TEMPROOT=/tmp."""

GUARD = pytest.StashKey[RingGuard]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loop",
        choices=("asyncio", "uvloop"),
        default="asyncio",
        help="the event loop of asynchronous tests; the service runs on uvloop",
    )


def pytest_configure(config: pytest.Config) -> None:
    if MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > MIN_MEMORY_FOLDER_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_FOLDER))
    config.stash[GUARD] = RingGuard()
    # An audit hook cannot be removed: it lives as long as the process, and the guard in it is idle
    # but for pure tests.
    sys.addaudithook(config.stash[GUARD])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(ring_of(item.nodeid))
        if is_slow(item.nodeid):
            item.add_marker("slow")
    items.sort(key=lambda item: start_order(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Hold a pure test, its fixtures included, to what its ring allows."""
    guard = item.config.stash[GUARD]
    guard.test = item.nodeid if item.get_closest_marker("pure") else ""
    try:
        return (yield)
    finally:
        guard.test = ""


@pytest.fixture(scope="session")
def anyio_backend(pytestconfig: pytest.Config) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": pytestconfig.getoption("loop") == "uvloop"}
