"""Runs a node with its writes, without what LangChain does around each link of a chain.

LangGraph makes a chain of a node and its writes: it reports the chain's and its links' begin and
end to callbacks, and runs the node in a task of its own. Of a run's callbacks only the one for
tokens listens, which chains do not concern; whoever traces runs gets the chain.
"""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._runnable import RunnableCallable, RunnableSeq
from langgraph.graph.state import CompiledStateGraph


def simplify_nodes(graph: CompiledStateGraph[Any, Any, Any, Any]) -> None:
    """Let the nodes of a compiled graph, and of graphs that are its nodes, run without a chain."""
    for node in graph.nodes.values():
        if isinstance(node.bound, CompiledStateGraph):
            simplify_nodes(node.bound)
        elif isinstance(chain := node.node, RunnableSeq) and _is_plain(chain):
            node.__dict__["node"] = PlainNode(chain)


def _is_plain(chain: RunnableSeq) -> bool:
    return all(isinstance(step, RunnableCallable) for step in chain.steps)


class PlainNode(Runnable[Any, Any]):
    """A node and its writes, one after the other, in the caller's task."""

    def __init__(self, chain: RunnableSeq) -> None:
        self._chain = chain
        self._node, *self._writes = chain.steps

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run as the chain does."""
        return self._chain.invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run the node, then its writes; as the chain where a callback listens to chains."""
        if config is None or _is_traced(config):
            return await self._chain.ainvoke(input, config, **kwargs)
        # What the node asks for, such as its writer, is found by the context.
        token = var_child_runnable_config.set(config)
        try:
            output = await self._node.ainvoke(input, config, **kwargs)
        finally:
            var_child_runnable_config.reset(token)
        for write in self._writes:
            output = await write.ainvoke(output, config)
        return output


def _is_traced(config: RunnableConfig) -> bool:
    callbacks = config.get("callbacks")
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks
    return any(not handler.ignore_chain for handler in handlers or ())
