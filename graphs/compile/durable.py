"""Durable calls: work within a step whose result LangGraph stores, so that it is not done twice.

A step runs from its begin after a crash, a retry or an answer. A durable call in it is a task of
LangGraph's functional API: its result is written with the checkpoint's pending writes, and the next
run of the step gets the stored result instead of running the work.

Invariant: LangGraph finds results by the order of calls within the step, so calls begin in the same
order each time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from langgraph.config import get_config
from langgraph.errors import GraphInterrupt
from langgraph.func import task
from langgraph.runtime import get_runtime

from config.errors import MotetError
from config.json_values import check_storable
from graphs.compile.node import NodeContext
from graphs.compile.retry import retry_policy, will_retry
from graphs.spec.node_spec import NodeSpec

log = logging.getLogger(__name__)

Result = TypeVar("Result")


async def durable_call(
    work: Callable[[NodeContext], Coroutine[Any, Any, Any]],
    name: str,
    context: NodeContext,
    spec: NodeSpec,
) -> Any:
    """Return the stored result of `work`, or run it and store its result.

    The work is a step of its own, `node/name`, and is given that step's context. The node's `retry`
    holds for it alone. Its result must be what a checkpoint can hold. Returns after the result is
    handed to the checkpointer; with durability "sync" it is on disk before the next superstep.
    """
    step_name = f"{context.node}/{name}"

    async def attempt() -> Any:
        own = _own_context(context, step_name)
        log.debug("run %s: %s begins", own.run.run_id, step_name)
        if own.attempt > 1:
            own.emit("attempt", number=own.attempt)
        try:
            result = await cancel_once(asyncio.create_task(work(own), name=step_name))
            check_storable(result, f"Step '{step_name}'", node=context.node)
            return result
        except MotetError as error:
            if will_retry(error, own, spec):
                own.emit(
                    "warning", code=error.code, message=error.public_message, attempt=own.attempt
                )
                log.info(
                    "run %s: %s failed (attempt %d), again: %s",
                    *(own.run.run_id, step_name, own.attempt, error.code),
                )
            raise

    policy = retry_policy(spec)
    return await task(name=step_name, retry_policy=policy)(attempt)()  # type: ignore[arg-type]


async def cancel_once(work: asyncio.Task[Result]) -> Result:
    """Wait for a task; when cancelled, cancel it once and wait until it has ended.

    LangGraph cancels a piece of work by itself and again through the step that waits for it. The
    second cancellation would break into the `finally` blocks that the first one runs, such as the
    return of a lease. A result that the work still gives is returned: it has been done.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        work.cancel()
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        if work.cancelled() or work.exception():
            raise
        return work.result()


async def gather_all(work: Sequence[asyncio.Task[Result]]) -> list[Result]:
    """Return the tasks' results in their order; the first failure ends them all.

    A task that asks a person (`GraphInterrupt`) lets the others go on: all that they ask is asked
    together, in one `GraphInterrupt`. Cancelled, it ends all tasks. When it returns or raises, none
    of them runs any more.
    """
    try:
        pending = set(work)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
            for each in done:
                if not isinstance(each.exception(), GraphInterrupt):
                    each.result()  # raises what the task raised
        interrupts = [error for each in work if (error := each.exception())]
        if interrupts:
            raise GraphInterrupt([question for error in interrupts for question in error.args[0]])
        return [each.result() for each in work]
    finally:
        for each in work:
            each.cancel()
        await asyncio.gather(*work, return_exceptions=True)


def _own_context(context: NodeContext, name: str) -> NodeContext:
    """Return the context of the durable call that runs now: its own step, attempt and config."""
    info = get_runtime().execution_info
    if info is None:
        return context
    config = get_config()
    return replace(context, node=name, step=info.task_id, attempt=info.node_attempt, config=config)
