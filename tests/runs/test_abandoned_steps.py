"""Futures that LangGraph leaves behind, and what the event loop says of them."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from langgraph.errors import GraphInterrupt

from runs.abandoned_steps import ignore_abandoned_steps


def abandon(error: Exception) -> None:
    """Leave a failed future that nobody reads."""
    asyncio.get_running_loop().create_future().set_exception(error)
    gc.collect()


async def test_a_question_that_nobody_reads_any_more_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO), ignore_abandoned_steps():
        abandon(GraphInterrupt(("a secret question",)))

    assert caplog.records == []


async def test_another_failure_that_nobody_reads_is_reported_as_before() -> None:
    reported: list[str] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda loop, context: reported.append(str(context["exception"])))

    with ignore_abandoned_steps():
        abandon(ValueError("lost"))
    handler = loop.get_exception_handler()
    loop.set_exception_handler(before)

    assert reported == ["lost"]
    assert handler is not None


async def test_afterwards_the_loop_has_the_handler_that_it_had() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    with ignore_abandoned_steps():
        assert loop.get_exception_handler() is not before

    assert loop.get_exception_handler() == before
