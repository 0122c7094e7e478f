"""The nodes and routers of Python graphs, made safe for the process that they run in.

Owns the changes to a `StateGraph` that users built: whatever its functions raise is a failed step,
and plain ones run in threads of users, where LangGraph would take those of the event loop.
Nodes that are graphs themselves stay graphs, as LangGraph looks for them; their own nodes change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import run_in_executor
from langgraph._internal._runnable import RunnableCallable
from langgraph.errors import GraphInterrupt
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel

from graphs.compile.fan_out import check_questions, check_sends
from tools.user_code.guard import run_guarded
from tools.user_code.shield import finish_begun
from tools.user_code.threads import UserThreads


def guard_nodes(builder: StateGraph[Any, Any, Any, Any], agent: str, threads: UserThreads) -> None:
    """Change the nodes and routers of a graph, in place.

    They raise only errors, and plain functions among them run in `threads`.
    """
    guard = _Guard(agent, threads)
    for name, spec in builder.nodes.items():
        spec.runnable = guard.apply(spec.runnable, name)
    guard.apply_to_routers(builder)


def shield_functions(graph: CompiledStateGraph[Any, Any, Any, Any]) -> None:
    """Let the nodes of a compiled graph that are plain functions finish what they have begun.

    LangGraph cancels the nodes beside one that fails. A function goes on in its thread; its result
    would be dropped, and the function run again when the thread goes on.
    """
    for node in graph.nodes.values():
        if isinstance(node.bound, CompiledStateGraph):
            shield_functions(node.bound)
        elif isinstance(node.bound, RunnableCallable) and node.bound.func:
            whole = node.node
            if whole and not isinstance(whole, ShieldedNode):
                node.__dict__["node"] = ShieldedNode(whole)


class ShieldedNode(Runnable[Any, Any]):
    """A node with its writes, which are done together."""

    def __init__(self, node: Runnable[Any, Any]) -> None:
        self._node = node

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run in the caller's thread, as users' own calls of a graph do."""
        return self._node.invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run; when cancelled, finish a function that has begun."""
        return await finish_begun(partial(_ainvoke, self._node, input, config, **kwargs))


@dataclass(frozen=True)
class _Guard:
    agent: str
    threads: UserThreads

    def apply(self, runnable: Any, node: str) -> Any:
        if isinstance(runnable, CompiledStateGraph):
            self._apply_compiled(runnable)
        elif isinstance(runnable, RunnableCallable):
            self._apply_callable(runnable, f"node '{node}' of agent '{self.agent}'")
        elif not isinstance(runnable, Pregel):
            return _wrap(runnable)
        return runnable

    def apply_to_routers(self, builder: StateGraph[Any, Any, Any, Any]) -> None:
        for node, branches in builder.branches.items():
            for name, branch in branches.items():
                path = branch.path
                if isinstance(path, RunnableCallable):
                    # Changed in place: a graph that is compiled already shares it.
                    self._apply_callable(path, f"router of '{node}' of agent '{self.agent}'")
                else:
                    branches[name] = branch._replace(path=_wrap(path))

    def _apply_compiled(self, graph: CompiledStateGraph[Any, Any, Any, Any]) -> None:
        for name, node in graph.nodes.items():
            node.bound = self.apply(node.bound, name)
            node.__dict__.pop("node", None)  # made of `bound` when first used
        self.apply_to_routers(graph.builder)

    def _apply_callable(self, runnable: RunnableCallable, name: str) -> None:
        """Change LangGraph's own wrapper of a function, which goes on passing what it asks for."""
        if runnable.func is not None and _runs_in_thread(runnable.afunc):
            runnable.afunc = _bound(_move_to_thread(runnable.func, name, self.threads))
        elif runnable.afunc is not None:
            runnable.afunc = _bound(_guard_async(runnable.afunc))


def _runs_in_thread(work: Callable[..., Any] | None) -> bool:
    """Return whether LangGraph made the asynchronous function of a plain one."""
    return work is None or getattr(work, "func", None) is run_in_executor


def _move_to_thread(
    function: Callable[..., Any], name: str, threads: UserThreads
) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def call(*args: Any, **named: Any) -> Any:
        return await threads.call(name, partial(function, *args, **named))

    return call


def _guard_async(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def guarded(*args: Any, **named: Any) -> Any:
        async def work() -> Any:
            return await function(*args, **named)

        return await run_guarded(work)

    return guarded


def _bound(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Let a function of users ask for so much at once, and no more."""

    @wraps(function)
    async def bounded(*args: Any, **named: Any) -> Any:
        try:
            result = await function(*args, **named)
        except GraphInterrupt as asked:
            check_questions(asked.args[0] if asked.args else ())
            raise
        check_sends(result)
        return result

    return bounded


def _wrap(runnable: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Wrap a chain, a chat model, a lambda of LangChain."""

    async def guarded(input: Any, config: RunnableConfig) -> Any:
        return await run_guarded(partial(_ainvoke, runnable, input, config))

    name = runnable.get_name()
    return RunnableCallable(None, _bound(guarded), name=name, trace=False, recurse=False)


async def _ainvoke(
    runnable: Runnable[Any, Any], input: Any, config: RunnableConfig | None, **kwargs: Any
) -> Any:
    return await runnable.ainvoke(input, config, **kwargs)
