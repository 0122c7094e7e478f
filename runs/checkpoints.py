"""LangGraph's SQLite checkpointer, writing through the run's log and the group commit.

Owns what of LangGraph's tables is written and read by a run; the tables, their listing and their
delta history are the library's.

Invariants:
- A run's checkpoints and writes reach the disk in the order in which they were made, among the
  events of the run (`Journal`).
- What LangGraph calls a thread's id, in configs and tables, is its key (`record.thread_key`): the
  state of no tenant is found by the id of another's thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiosqlite
import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.checkpoint.sqlite.utils import load_pending_writes, pending_writes_sql
from langgraph.constants import START
from langgraph.types import Interrupt

from config.errors import Invalid
from config.json_values import check_storable
from runs.checkpoint_statements import copy_thread, delete_runs, delete_thread, list_writes
from runs.database import RunDatabase, Statement
from runs.events import dumps
from runs.journal import JOURNAL, Journal
from runs.record import Run
from runs.thread_shapes import thread_config

_PUT = (
    "INSERT OR REPLACE INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, "
    "parent_checkpoint_id, type, checkpoint, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PUT_WRITES = (
    "INSERT OR {} INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, "
    "channel, type, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS = "thread_id, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
_AT = f"SELECT {_COLUMNS} FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"
BOOKKEEPING = frozenset({*WRITES_IDX_MAP, "__error_source_node__"})
"""Channels in which LangGraph notes what became of a task; all others hold what it wrote."""
_BOOKKEEPING_NAMES = ", ".join(f"'{channel}'" for channel in sorted(BOOKKEEPING))


class Checkpoints(AsyncSqliteSaver):
    """The library's saver with the hot path on `RunDatabase`.

    A run's writes go through its journal and share commits; the library alone would commit, and
    wait for, each of them. Without a journal (editing a thread) a write is on disk on return.
    """

    def __init__(self, database: RunDatabase, connection: aiosqlite.Connection) -> None:
        super().__init__(connection)
        self.database = database

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint with its pending writes: the named one, or the latest."""
        configurable = config["configurable"]
        thread_id, ns = str(configurable["thread_id"]), configurable.get("checkpoint_ns", "")
        journal: Journal | None = configurable.get(JOURNAL)
        if journal and journal.has_pending_write(ns):
            # A subgraph that is tried again reads what it has just written.
            journal.release_all_writes()
            await journal.wait_flushed()
        if checkpoint_id := get_checkpoint_id(config):
            row = self.database.row(f"{_AT} AND checkpoint_id = ?", (thread_id, ns, checkpoint_id))
        else:
            row = self.database.row(f"{_AT} ORDER BY checkpoint_id DESC LIMIT 1", (thread_id, ns))
        if row is None:
            return None
        _, checkpoint_id, parent_id, type_, checkpoint, metadata = row
        writes = self.database.rows_inline(pending_writes_sql(True), (thread_id, ns, checkpoint_id))
        return CheckpointTuple(
            # Whole even where the caller named no namespace: LangGraph writes beside it.
            thread_config(thread_id, checkpoint_id, ns),
            self.serde.loads_typed((type_, checkpoint)),
            cast(CheckpointMetadata, orjson.loads(metadata) if metadata else {}),
            thread_config(thread_id, parent_id, ns) if parent_id else None,
            load_pending_writes(writes, self.serde),
        )

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint; in a run it is queued, and on disk before events that follow."""
        configurable = config["configurable"]
        thread_id, ns = str(configurable["thread_id"]), configurable["checkpoint_ns"]
        journal: Journal | None = configurable.get(JOURNAL)
        # LangGraph goes on to a checkpoint with what a step could not write.
        if journal and journal.unstorable:
            raise journal.unstorable
        type_, blob = self.serde.dumps_typed(checkpoint)
        put = Statement(
            _PUT,
            (
                thread_id,
                ns,
                checkpoint["id"],
                configurable.get("checkpoint_id"),
                type_,
                blob,
                dumps(get_checkpoint_metadata(config, metadata)),
            ),
        )
        if journal:
            if not ns:
                # Steps that LangGraph hides have no event of their end; here they have ended.
                journal.release_all_writes()
            journal.defer_write(put, ns)
        else:
            await self.database.write(put)
        return thread_config(thread_id, checkpoint["id"], ns)

    def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> Coroutine[Any, Any, None]:
        """Write what a task left; in a run, together with the event of its step's end."""
        # No coroutine function: LangGraph calls this before it streams the step's end, so the
        # journal knows what belongs to the end before the end comes. The body of a coroutine
        # would run later.
        journal: Journal | None = config["configurable"].get(JOURNAL)
        try:
            put = self._put_writes(config, writes, task_id, task_path)
        except Exception as error:
            if journal:
                journal.unstorable = error
            return _raise(error)
        if journal is None:
            return _write(self.database, put)
        # Only these have an event of their end, for which the write can wait.
        streamed = task_path and not task_path.endswith(START) and not _is_unfinished(writes)
        namespace = config["configurable"]["checkpoint_ns"]
        journal.defer_write(put, namespace, task_id if streamed else None)
        return _do_nothing()

    def _put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> Statement:
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
        rows = [
            (*task, WRITES_IDX_MAP.get(channel, idx), channel, *self._dump(value, node, channel))
            for idx, (channel, value) in enumerate(writes)
        ]
        # As the library does: bookkeeping is replaced, what a task wrote first stays.
        bookkeeping = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        verb = "REPLACE" if bookkeeping else "IGNORE"
        return Statement(_PUT_WRITES.format(verb), rows, many=True)

    def _dump(self, value: Any, node: str, channel: str) -> tuple[str, bytes]:
        """Encode a value. Raises `Invalid` (`unstorable_value`) naming node and channel."""
        if channel == INTERRUPT:
            questions = [getattr(each, "value", each) for each in value]
            check_storable(questions, f"Node '{node}'", "interrupts", node=node)
        elif channel not in BOOKKEEPING:
            check_storable(value, f"Node '{node}'", channel, node=node)
        try:
            return self.serde.dumps_typed(value)
        except (TypeError, ValueError) as error:
            raise Invalid(
                f"Node '{node}' gives what cannot be kept at {channel}: {error}.",
                code="unstorable_value",
                details={"node": node, "field": channel},
            ) from error

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints of a thread; on disk on return, as what follows."""
        await self.database.write(*delete_thread(thread_id))

    async def rollback(self, key: str, run_ids: Sequence[str]) -> None:
        """Take a thread back to its state before these runs, its last ones."""
        await self.database.write(*delete_runs(key, run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy every checkpoint of a thread under another name."""
        await self.database.write(*copy_thread(source_thread_id, target_thread_id))

    async def list_finished_tasks(self, run: Run) -> set[str]:
        """List the LangGraph tasks that are done: their writes are stored.

        Those with which the run, the last one of its thread, may go on.
        """
        rows = await self._list_writes(run, f"channel NOT IN ({_BOOKKEEPING_NAMES})")
        return {task_id for _, task_id, _ in rows}

    async def list_answered(self, run: Run) -> set[str]:
        """List the first questions of tasks that have stored an answer, by their ids.

        The answer must not be given again: LangGraph would take it for the answer to the task's
        next question.
        """
        rows = await self._list_writes(run, f"channel = '{RESUME}'")
        return {Interrupt.from_ns(None, ns=_namespace(*row)).id for row in rows}

    async def _list_writes(self, run: Run, condition: str) -> list[tuple[str, str, str]]:
        query = list_writes(run.thread_key, run.run_id, run.checkpoint_id, condition)
        rows: list[Any] = await self.database.rows(*query)
        return rows


def _is_unfinished(writes: Sequence[tuple[str, Any]]) -> bool:
    """Return whether the writes are of a task that has asked, failed or was cancelled."""
    return any(channel == ERROR for channel, _ in writes) or all(
        channel in BOOKKEEPING for channel, _ in writes
    )


async def _write(database: RunDatabase, statement: Statement) -> None:
    await database.write(statement)


async def _raise(error: Exception) -> None:
    raise error


async def _do_nothing() -> None:
    """Return at once: the write is in the journal."""


def _namespace(outer: str, task_id: str, task_path: str) -> str:
    """Join a task's own namespace; its path ends with the name of its node."""
    own = f"{task_path.rpartition(', ')[2]}:{task_id}"
    return f"{outer}|{own}" if outer else own


@asynccontextmanager
async def open_checkpoints(database: RunDatabase, path: Path) -> AsyncIterator[Checkpoints]:
    """Open the checkpointer on the database at `path`.

    Its own connection makes LangGraph's tables where they are missing, and lists.
    """
    async with aiosqlite.connect(path) as connection:
        checkpoints = Checkpoints(database, connection)
        await checkpoints.setup()
        yield checkpoints
