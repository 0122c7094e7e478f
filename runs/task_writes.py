"""What tasks of a graph leave, in rows of LangGraph's table `writes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME
from langgraph.types import Interrupt

from config.errors import Invalid
from config.json_values import check_storable
from runs.checkpoint_statements import list_writes
from runs.database import RunDatabase, Statement
from runs.parts.reference import Reference
from runs.record import Run

_PUT = (
    "INSERT OR {} INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, "
    "channel, type, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
PART = "part"
"""The type of a value that is a reference; all others are LangGraph's."""
FindPart: TypeAlias = Callable[[str, Any], Reference | None]
"""Returns where a value that is written to a channel lies already."""
BOOKKEEPING = frozenset({*WRITES_IDX_MAP, "__error_source_node__"})
"""Channels in which LangGraph notes what became of a task; all others hold what it wrote."""


_BOOKKEEPING_NAMES = ", ".join(f"'{channel}'" for channel in sorted(BOOKKEEPING))


def put_writes(
    config: RunnableConfig,
    writes: Sequence[tuple[str, Any]],
    task_id: str,
    task_path: str,
    serde: SerializerProtocol,
    find_part: FindPart,
) -> Statement:
    """Return what stores the writes of a task; what lies in parts already is referred to.

    Raises `Invalid` (`unstorable_value`) naming node and channel.
    """
    configurable = config["configurable"]
    if any(channel == ERROR for channel, _ in writes):
        # With what a task wrote before it failed, LangGraph would take it for finished.
        writes = [write for write in writes if write[0] in BOOKKEEPING]
    node = task_path.rpartition(", ")[2]
    task = (
        str(configurable["thread_id"]),
        str(configurable["checkpoint_ns"]),
        str(configurable["checkpoint_id"]),
        task_id,
        task_path,
    )
    rows = []
    for idx, (channel, value) in enumerate(writes):
        encoded = (
            (PART, orjson.dumps(list(where)))
            if (where := find_part(channel, value))
            else _encode(value, node, channel, serde)
        )
        rows.append((*task, WRITES_IDX_MAP.get(channel, idx), channel, *encoded))
    # As the library does: bookkeeping is replaced, what a task wrote first stays.
    bookkeeping = all(channel in WRITES_IDX_MAP for channel, _ in writes)
    return Statement(_PUT.format("REPLACE" if bookkeeping else "IGNORE"), rows, many=True)


class PartSerializer:
    """Reads values as LangGraph's serializer does, and those that lie in parts out of `values`."""

    def __init__(self, serde: SerializerProtocol, values: Mapping[Reference, Any]) -> None:
        self._serde = serde
        self._values = values

    def dumps_typed(self, value: Any) -> tuple[str, bytes]:
        return self._serde.dumps_typed(value)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        type_, encoded = data
        return (
            self._values[read_reference(encoded)]
            if type_ == PART
            else self._serde.loads_typed(data)
        )


def read_reference(encoded: bytes) -> Reference:
    """Read the value of a row of type `PART`."""
    return Reference(*orjson.loads(encoded))


def is_unfinished(writes: Sequence[tuple[str, Any]]) -> bool:
    """Return whether the writes are of a task that has asked, failed or was cancelled."""
    return any(channel == ERROR for channel, _ in writes) or all(
        channel in BOOKKEEPING for channel, _ in writes
    )


async def list_finished_tasks(database: RunDatabase, run: Run) -> set[str]:
    """List the LangGraph tasks that are done: their writes are stored.

    Those with which the run, the last one of its thread, may go on.
    """
    rows = await _list_writes(database, run, f"channel NOT IN ({_BOOKKEEPING_NAMES})")
    return {task_id for _, task_id, _ in rows}


async def list_answered(database: RunDatabase, run: Run) -> set[str]:
    """List the first questions of tasks that have stored an answer, by their ids.

    The answer must not be given again: LangGraph would take it for the answer to the task's next
    question.
    """
    rows = await _list_writes(database, run, f"channel = '{RESUME}'")
    return {Interrupt.from_ns(None, ns=_namespace(*row)).id for row in rows}


async def _list_writes(
    database: RunDatabase, run: Run, condition: str
) -> list[tuple[str, str, str]]:
    query = list_writes(run.thread_key, run.run_id, run.checkpoint_id, condition)
    rows: list[Any] = await database.rows(*query)
    return rows


def _namespace(outer: str, task_id: str, task_path: str) -> str:
    """Join a task's own namespace; its path ends with the name of its node."""
    own = f"{task_path.rpartition(', ')[2]}:{task_id}"
    return f"{outer}|{own}" if outer else own


def _encode(value: Any, node: str, channel: str, serde: SerializerProtocol) -> tuple[str, bytes]:
    if channel == INTERRUPT:
        questions = [getattr(each, "value", each) for each in value]
        check_storable(questions, f"Node '{node}'", "interrupts", node=node)
    elif channel not in BOOKKEEPING:
        check_storable(value, f"Node '{node}'", channel, node=node)
    try:
        return serde.dumps_typed(value)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"Node '{node}' gives what cannot be kept at {channel}: {error}.",
            code="unstorable_value",
            details={"node": node, "field": channel},
        ) from error
