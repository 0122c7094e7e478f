"""Work within a node whose result LangGraph keeps, so that a step that runs again has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from langgraph.config import get_config
from langgraph.errors import GraphInterrupt
from langgraph.func import task
from langgraph.runtime import get_runtime

from config.errors import MotetError
from graphs.compile.node import NodeContext
from graphs.compile.node_runner import retry_policy, retryable
from graphs.spec.parts import NodeSpec

Result = TypeVar("Result")


async def durable_call(
    work: Callable[[NodeContext], Coroutine[Any, Any, Any]],
    part: str,
    call: NodeContext,
    spec: NodeSpec,
) -> Any:
    """The result of `work`: after a crash the one that was stored, else a new one.

    The work is a step of its own, `node/part`, and is given the call to speak by. Ask for results
    in the same order each time: they are found by their place. The node's `retry` holds for each
    piece of work by itself.
    """
    name = f"{call.node}/{part}"

    async def attempt() -> Any:
        own = _own(call, name)
        if own.attempt > 1:
            own.emit("attempt", number=own.attempt)
        try:
            return await cancelled_once(asyncio.create_task(work(own), name=name))
        except MotetError as error:
            if will_retry(error, own, spec):
                own.emit("warning", code=error.code, message=error.message, attempt=own.attempt)
            raise

    policy = retry_policy(spec)
    return await task(name=name, retry_policy=policy)(attempt)()  # type: ignore[arg-type]


def will_retry(error: MotetError, call: NodeContext, spec: NodeSpec) -> bool:
    """Whether work that failed so will be tried again."""
    return retryable(error) and call.attempt < (spec.retry.attempts if spec.retry else 1)


async def cancelled_once(work: asyncio.Task[Result]) -> Result:
    """The result of a task, which hears of a cancellation once and is waited for.

    LangGraph cancels a piece of work by itself and again through the step that waits for it; the
    second one would break into the closing of what the first has ended.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        work.cancel()
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        raise


async def gather_all(work: Sequence[asyncio.Task[Result]]) -> list[Result]:
    """The results of pieces of work, in their order; the first failure ends them all.

    A piece that asks a person lets the others go on: all that they ask is asked together.
    """
    try:
        left = set(work)
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_EXCEPTION)
            for each in done:
                if not isinstance(each.exception(), GraphInterrupt):
                    each.result()
        asked = [error for each in work if (error := each.exception())]
        if asked:
            raise GraphInterrupt([question for error in asked for question in error.args[0]])
        return [each.result() for each in work]
    finally:
        for each in work:
            each.cancel()
        await asyncio.gather(*work, return_exceptions=True)


def _own(call: NodeContext, name: str) -> NodeContext:
    """The call of the piece of work that runs now."""
    info = get_runtime().execution_info
    if info is None:
        return call
    config = get_config()
    return replace(call, node=name, step=info.task_id, attempt=info.node_attempt, config=config)
