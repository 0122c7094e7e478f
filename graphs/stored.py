"""Work within a node whose result LangGraph keeps, so that a step that runs again has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langgraph.func import task
from langgraph.runtime import get_runtime

from config.errors import MotetError
from graphs.node import Call
from graphs.parts import NodeSpec
from graphs.step import retry_policy, retryable


async def stored(work: Callable[[], Awaitable[Any]], name: str, call: Call, spec: NodeSpec) -> Any:
    """The result of `work`: after a crash the one that was stored, else a new one.

    Ask for results in the same order each time: they are found by their place. The node's `retry`
    holds for each piece of work by itself.
    """

    async def attempt() -> Any:
        try:
            return await work()
        except MotetError as error:
            if again(error, spec):
                call.emit("warning", code=error.code, message=error.message, attempt=_number())
            raise

    policy = retry_policy(spec)
    return await task(name=name, retry_policy=policy)(attempt)()  # type: ignore[arg-type]


def again(error: MotetError, spec: NodeSpec) -> bool:
    """Whether work that failed so will be tried again."""
    attempts = spec.retry.attempts if spec.retry else 1
    return retryable(error) and _number() < attempts


def _number() -> int:
    info = get_runtime().execution_info
    return info.node_attempt if info else 1
