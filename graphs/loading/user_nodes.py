"""The nodes and routers of Python graphs, made safe for the process that they run in.

Owns the changes to a `StateGraph` that users built: whatever its functions raise is a failed step.
Nodes that are graphs themselves stay graphs, as LangGraph looks for them; their own nodes change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import run_in_executor
from langgraph._internal._runnable import RunnableCallable
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel

from tools.user_code.guard import call_guarded, run_guarded


def guard_nodes(builder: StateGraph[Any, Any, Any, Any]) -> None:
    """Change the nodes and routers of a graph, in place, so that they raise only errors."""
    for spec in builder.nodes.values():
        spec.runnable = _guard(spec.runnable)
    for branches in builder.branches.values():
        for name, branch in branches.items():
            branches[name] = branch._replace(path=_guard(branch.path))


def _guard(runnable: Any) -> Any:
    if isinstance(runnable, CompiledStateGraph):
        _guard_compiled(runnable)
    elif isinstance(runnable, RunnableCallable):
        _guard_callable(runnable)
    elif not isinstance(runnable, Pregel):
        return _guard_runnable(runnable)
    return runnable


def _guard_compiled(graph: CompiledStateGraph[Any, Any, Any, Any]) -> None:
    """Change a graph that is compiled already: its nodes, and the routers that they share."""
    for node in graph.nodes.values():
        node.bound = _guard(node.bound)
        node.__dict__.pop("node", None)  # made of `bound` when first used
    for branches in graph.builder.branches.values():
        for branch in branches.values():
            _guard(branch.path)


def _guard_callable(runnable: RunnableCallable) -> None:
    """Change LangGraph's own wrapper of a function, which goes on passing what it asks for."""
    work = runnable.afunc
    if runnable.func is not None and (work is None or _runs_in_thread(work)):
        work = wraps(runnable.func)(partial(run_in_executor, None, _guard_sync(runnable.func)))
    if work is not None:
        runnable.afunc = _guard_async(work)


def _runs_in_thread(work: Callable[..., Any]) -> bool:
    """Return whether LangGraph made the asynchronous function of a plain one."""
    return getattr(work, "func", None) is run_in_executor


def _guard_sync(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def guarded(*args: Any, **named: Any) -> Any:
        return call_guarded(partial(function, *args, **named))

    return guarded


def _guard_async(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def guarded(*args: Any, **named: Any) -> Any:
        async def work() -> Any:
            return await function(*args, **named)

        return await run_guarded(work)

    return guarded


def _guard_runnable(runnable: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Wrap a chain, a chat model, a lambda of LangChain."""

    async def guarded(input: Any, config: RunnableConfig) -> Any:
        return await run_guarded(partial(_ainvoke, runnable, input, config))

    name = runnable.get_name()
    return RunnableCallable(None, guarded, name=name, trace=False, recurse=False)


async def _ainvoke(runnable: Runnable[Any, Any], input: Any, config: RunnableConfig) -> Any:
    return await runnable.ainvoke(input, config)
