"""LangGraph's SQLite checkpointer, writing through the database's group commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, cast

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
from langgraph.checkpoint.serde.types import ERROR, RESUME
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.checkpoint.sqlite.utils import load_pending_writes, pending_writes_sql
from langgraph.constants import START
from langgraph.types import Interrupt

from runs.database import RunDatabase, Statement
from runs.events import dumps

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
ACCOUNTS = frozenset({*WRITES_IDX_MAP, "__error_source_node__"})
"""Channels in which LangGraph notes what became of a task; all others hold what it left."""
_ACCOUNT_NAMES = ", ".join(f"'{channel}'" for channel in sorted(ACCOUNTS))

JOURNAL = "__journal"
"""Where a run's config names the `Journal` by which its checkpoints reach the disk."""


class Journal(Protocol):
    """A run's writes and events, stored in one order. `place` is a graph's namespace."""

    def defer_write(self, statement: Statement, place: str, step: str | None = None) -> None:
        """Store a write in its turn; with `step`, together with the end of that step."""
        ...

    def has_pending_write(self, place: str) -> bool: ...

    def release_all_writes(self) -> None: ...

    async def wait_flushed(self) -> None: ...


class Checkpoints(AsyncSqliteSaver):
    """The library's saver (its tables, its listing) with the hot path on `RunDatabase`.

    What a run leaves reaches the disk through its journal, in the order in which it was made and
    told, in shared commits; the library alone would commit, and wait for, each of them.
    """

    def __init__(self, database: RunDatabase, reading: aiosqlite.Connection) -> None:
        super().__init__(reading)
        self._database = database

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        configurable = config["configurable"]
        thread_id, ns = str(configurable["thread_id"]), configurable.get("checkpoint_ns", "")
        journal: Journal | None = configurable.get(JOURNAL)
        if journal and journal.has_pending_write(ns):
            # A subgraph that is tried again reads what it has just left.
            journal.release_all_writes()
            await journal.wait_flushed()
        if checkpoint_id := get_checkpoint_id(config):
            row = self._database.row(f"{_AT} AND checkpoint_id = ?", (thread_id, ns, checkpoint_id))
        else:
            row = self._database.row(f"{_AT} ORDER BY checkpoint_id DESC LIMIT 1", (thread_id, ns))
        if row is None:
            return None
        _, checkpoint_id, parent_id, type_, checkpoint, metadata = row
        writes = self._database.rows_inline(
            pending_writes_sql(True), (thread_id, ns, checkpoint_id)
        )
        return CheckpointTuple(
            config if get_checkpoint_id(config) else _config(thread_id, ns, checkpoint_id),
            self.serde.loads_typed((type_, checkpoint)),
            cast(CheckpointMetadata, orjson.loads(metadata) if metadata else {}),
            _config(thread_id, ns, parent_id) if parent_id else None,
            load_pending_writes(writes, self.serde),
        )

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        configurable = config["configurable"]
        thread_id, ns = str(configurable["thread_id"]), configurable["checkpoint_ns"]
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
        if journal := configurable.get(JOURNAL):
            if not ns:
                journal.release_all_writes()  # those that LangGraph hides end untold
            journal.defer_write(put, ns)
        else:
            await self._database.write(put)
        return _config(thread_id, ns, checkpoint["id"])

    def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> Coroutine[Any, Any, None]:
        # No coroutine function: LangGraph calls this before it tells of the step's end, so the
        # journal knows what belongs to the end before it hears of it.
        try:
            put = self._put_writes(config, writes, task_id, task_path)
        except Exception as error:
            return _refuse(error)
        journal: Journal | None = config["configurable"].get(JOURNAL)
        if journal is None:
            return _written(self._database, put)
        told = task_path and not task_path.endswith(START) and not _unfinished(writes)
        place = config["configurable"]["checkpoint_ns"]
        journal.defer_write(put, place, task_id if told else None)
        return _nothing()

    def _put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> Statement:
        configurable = config["configurable"]
        if any(channel == ERROR for channel, _ in writes):
            # With what it wrote before it failed, LangGraph would take it for finished.
            writes = [write for write in writes if write[0] in ACCOUNTS]
        place = (
            str(configurable["thread_id"]),
            str(configurable["checkpoint_ns"]),
            str(configurable["checkpoint_id"]),
            task_id,
            task_path,
        )
        rows = [
            (*place, WRITES_IDX_MAP.get(channel, idx), channel, *self.serde.dumps_typed(value))
            for idx, (channel, value) in enumerate(writes)
        ]
        special = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        verb = "REPLACE" if special else "IGNORE"
        return Statement(_PUT_WRITES.format(verb), rows, many=True)

    async def adelete_thread(self, thread_id: str) -> None:
        await self._database.write(*delete_thread(thread_id))

    async def rollback(self, thread_id: str, run_ids: Sequence[str]) -> None:
        """Take a thread back to where it stood before these runs."""
        marks = ", ".join("?" * len(run_ids))
        of_runs = f"thread_id = ? AND json_extract(metadata, '$.run_id') IN ({marks})"
        await self._database.write(
            Statement(
                "DELETE FROM writes WHERE thread_id = ? AND checkpoint_id IN "
                f"(SELECT checkpoint_id FROM checkpoints WHERE {of_runs})",
                (thread_id, thread_id, *run_ids),
            ),
            Statement(f"DELETE FROM checkpoints WHERE {of_runs}", (thread_id, *run_ids)),
        )

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy every checkpoint of a thread under another name."""
        await self._database.write(
            Statement(
                "INSERT INTO checkpoints SELECT ?, checkpoint_ns, checkpoint_id, "
                "parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints "
                "WHERE thread_id = ?",
                (target_thread_id, source_thread_id),
            ),
            Statement(
                "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, "
                "idx, channel, type, value) SELECT ?, checkpoint_ns, checkpoint_id, task_id, "
                "task_path, idx, channel, type, value FROM writes WHERE thread_id = ?",
                (target_thread_id, source_thread_id),
            ),
        )

    async def list_finished_tasks(self, thread_id: str) -> set[str]:
        """The LangGraph tasks of a thread that left their writes and will not run again."""
        rows = await self._database.rows(
            "SELECT DISTINCT task_id FROM writes WHERE thread_id = ? "
            f"AND channel NOT IN ({_ACCOUNT_NAMES})",
            (thread_id,),
        )
        return {row[0] for row in rows}

    async def list_answered(self, thread_id: str) -> set[str]:
        """The first questions of tasks that have stored an answer: it must not be given again.

        LangGraph would take it for the answer to the task's next question.
        """
        rows = await self._database.rows(
            "SELECT checkpoint_ns, task_id, task_path FROM writes "
            "WHERE thread_id = ? AND channel = ?",
            (thread_id, RESUME),
        )
        return {Interrupt.from_ns(None, ns=_namespace(*row)).id for row in rows}


def delete_thread(thread_id: str) -> tuple[Statement, Statement]:
    """The statements that forget a thread's checkpoints."""
    return (
        Statement("DELETE FROM checkpoints WHERE thread_id = ?", (thread_id,)),
        Statement("DELETE FROM writes WHERE thread_id = ?", (thread_id,)),
    )


def _unfinished(writes: Sequence[tuple[str, Any]]) -> bool:
    """Whether they tell of a task that has not ended well: it asked, failed or was cancelled."""
    return any(channel == ERROR for channel, _ in writes) or all(
        channel in ACCOUNTS for channel, _ in writes
    )


async def _written(database: RunDatabase, statement: Statement) -> None:
    await database.write(statement)


async def _refuse(error: Exception) -> None:
    raise error


async def _nothing() -> None:
    """It is in the journal."""


def _namespace(outer: str, task_id: str, task_path: str) -> str:
    """A task's own namespace; its path ends with the name of its node."""
    own = f"{task_path.rpartition(', ')[2]}:{task_id}"
    return f"{outer}|{own}" if outer else own


def _config(thread_id: str, ns: str, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": ns,
            "checkpoint_id": checkpoint_id,
        }
    }


@asynccontextmanager
async def open_checkpoints(database: RunDatabase, path: Path) -> AsyncIterator[Checkpoints]:
    """The checkpointer on the database at `path`; its own connection makes tables and lists."""
    async with aiosqlite.connect(path) as reading:
        checkpoints = Checkpoints(database, reading)
        await checkpoints.setup()
        yield checkpoints
