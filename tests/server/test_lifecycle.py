"""The parts of the service are opened in order, closed in reverse, and told in the log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.lifecycle import PartStack


@asynccontextmanager
async def part(name: str, steps: list[str]) -> AsyncIterator[str]:
    steps.append(f"open {name}")
    try:
        yield name
    finally:
        steps.append(f"close {name}")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().rpartition(" (")[0] for record in caplog.records]


async def test_parts_are_closed_in_reverse_order_with_a_line_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "server.lifecycle")
    steps: list[str] = []

    async def close_workers() -> None:
        steps.append("close workers")

    async with PartStack() as stack:
        assert await stack.open_part("models", part("models", steps)) == "models"
        stack.close_later("workers", close_workers)
        await stack.open_part("indexes", part("indexes", steps))

    assert steps == [
        "open models",
        "open indexes",
        "close indexes",
        "close workers",
        "close models",
    ]
    assert messages(caplog) == [
        "opened models",
        "opened indexes",
        "closed indexes",
        "closed workers",
        "closed models",
    ]


async def test_parts_that_are_open_are_closed_when_the_next_one_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "server.lifecycle")
    steps: list[str] = []

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise ValueError("no disk")
        yield

    with pytest.raises(ValueError, match="no disk"):  # noqa: PT012
        async with PartStack() as stack:
            await stack.open_part("models", part("models", steps))
            await stack.open_part("indexes", broken())

    assert steps == ["open models", "close models"]
    assert messages(caplog) == ["opened models", "closed models"]


async def test_a_part_that_fails_to_close_keeps_no_other_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "server.lifecycle")
    steps: list[str] = []

    async def fail() -> None:
        raise ValueError("stuck")

    with pytest.raises(ValueError, match="stuck"):  # noqa: PT012
        async with PartStack() as stack:
            await stack.open_part("models", part("models", steps))
            stack.close_later("workers", fail)

    assert steps == ["open models", "close models"]
    assert messages(caplog) == ["opened models", "closed workers", "closed models"]
