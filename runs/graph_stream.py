"""Takes the parts of a graph's stream as they come, from the graph and all graphs below it.

LangGraph hands a sub-graph's parts to the stream of the graph above it, in the call that makes
them. A run is streamed so too: the configuration names this stream as the one above the run's own
graph. No queue lies between a step and its event, and a step alone needs no task of its own.

Owns the order of parts and their way onto the event loop; what they say is `stream_translator`'s.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_RUNTIME, CONFIG_KEY_STREAM, NS_SEP
from langgraph.config import get_config
from langgraph.pregel._messages import StreamMessagesHandler
from langgraph.pregel.protocol import StreamProtocol
from langgraph.runtime import Runtime
from langgraph.types import StreamMode

Part: TypeAlias = tuple[tuple[str, ...], str, Any]
"""What LangGraph streams: namespace, mode, data."""

MODES: set[StreamMode] = {"tasks", "custom", "values"}
"""What LangGraph itself is asked for; tokens, mode "messages", come by a callback of ours."""
PARTS_PER_TURN = 100
"""Parts that are taken in one turn of the event loop; a node may write very many at once."""


class GraphStream:
    """Hands each part to `take`, in order, on the event loop. `close` it when the graph has ended.

    What `take` raises ends the step, or the graph, that made the part.
    """

    def __init__(self, take: Callable[[Part], None]) -> None:
        self._take: Callable[[Part], None] | None = take
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._taken_in_turn = 0
        self._later: deque[Part] = deque()
        self._drained = asyncio.Event()
        self._drained.set()
        self._failure: Exception | None = None

    def attach(self, config: RunnableConfig) -> None:
        """Make a run with this configuration stream its parts here, and its sub-graphs too."""
        config["configurable"] |= {
            CONFIG_KEY_STREAM: StreamProtocol(self.put, MODES),
            CONFIG_KEY_RUNTIME: Runtime(stream_writer=self._write),
        }
        config["callbacks"] = [_TokenHandler(self.put, subgraphs=True)]

    def put(self, part: Part) -> None:
        """Take a part at once, or, from another thread, soon; after `close` nothing is taken."""
        if threading.get_ident() == self._thread:
            self._put(part)
        else:
            self._loop.call_soon_threadsafe(self._put, part)

    @property
    def has_backlog(self) -> bool:
        """Whether there are parts that were put and are not taken."""
        return bool(self._later)

    async def wait_drained(self) -> None:
        """Wait until every part that was put is taken. Raises what taking one of them raised."""
        await self._drained.wait()
        if self._failure:
            raise self._failure

    def close(self) -> None:
        """Take nothing more: steps that were given up may go on to write in their threads."""
        # The configuration lives in contexts for as long as anything of the run does: through it,
        # the run itself would.
        self._take = None
        self._later.clear()
        self._drained.set()

    def _write(self, data: Any) -> None:
        """Put what a node writes; called within the node's context, in any thread."""
        namespace = get_config()["configurable"]["checkpoint_ns"]
        self.put((tuple(namespace.split(NS_SEP)[:-1]), "custom", data))

    def _put(self, part: Part) -> None:
        if self._take is None:
            return
        if self._later or self._taken_in_turn >= PARTS_PER_TURN:
            # In order: behind the first that waits, all do.
            self._later.append(part)
            self._drained.clear()
            return
        if not self._taken_in_turn:
            self._loop.call_soon(self._begin_turn)
        self._taken_in_turn += 1
        self._take(part)

    def _begin_turn(self) -> None:
        self._taken_in_turn = 0
        while self._later and self._taken_in_turn < PARTS_PER_TURN:
            self._taken_in_turn += 1
            self._take_late(self._later.popleft())
        if self._taken_in_turn:
            self._loop.call_soon(self._begin_turn)
        if not self._later:
            self._drained.set()

    def _take_late(self, part: Part) -> None:
        try:
            if self._take:
                self._take(part)
        except Exception as error:  # nobody stands above this call but the event loop
            self._failure = self._failure or error


class _TokenHandler(StreamMessagesHandler):
    """Streams what chat models write, token by token.

    LangGraph's own handler looks on the event loop for messages in all that nodes take and give.
    """

    ignore_chain = True
