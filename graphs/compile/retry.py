"""Which failures are tried again, and how often: the node's `retry`, for LangGraph and for us."""

from __future__ import annotations

from langgraph.types import RetryPolicy

from config.errors import Busy, MotetError, TimedOut, Unavailable
from graphs.compile.node import NodeContext
from graphs.spec.node_spec import NodeSpec


def is_retryable(error: Exception) -> bool:
    """Tell whether the same call may succeed later."""
    return isinstance(error, Unavailable | Busy | TimedOut) and not error.permanent


def retry_policy(spec: NodeSpec) -> RetryPolicy | None:
    """Return LangGraph's policy for a node's `retry`; None where there is one attempt."""
    if spec.retry is None or spec.retry.attempts == 1:
        return None
    return RetryPolicy(
        initial_interval=spec.retry.backoff_s,
        backoff_factor=2.0,
        max_attempts=spec.retry.attempts,
        # Without jitter, so that the pauses are those that the docs name.
        jitter=False,
        retry_on=is_retryable,
    )


def will_retry(error: MotetError, context: NodeContext, spec: NodeSpec) -> bool:
    """Tell whether LangGraph will try this work again, so that a failure is not final yet."""
    return is_retryable(error) and context.attempt < (spec.retry.attempts if spec.retry else 1)
