"""LangGraph's SQLite checkpointer, writing through the run's log and the group commit.

Owns what of LangGraph's tables is written and read, which are the library's own. Large values of
states are stored apart, in parts (`runs.parts`).

Invariants:
- A run's checkpoints and writes reach the disk in the order in which they were made, among the
  events of the run (`Journal`).
- What LangGraph calls a thread's id, in configs and tables, is its key (`record.thread_key`): the
  state of no tenant is found by the id of another's thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import aiosqlite
import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.checkpoint.sqlite.utils import (
    load_pending_writes,
    pending_writes_sql,
    search_where,
)
from langgraph.constants import START

from runs.checkpoint_statements import copy_thread, delete_runs, delete_thread
from runs.database import RunDatabase, Statement
from runs.events import dumps
from runs.journal import JOURNAL, Journal
from runs.parts.part_reader import PartReader, PartsMissingError
from runs.parts.reference import Reference
from runs.parts.states import Address, decode, format_version
from runs.parts.thread_states import ThreadStates, put_part
from runs.task_writes import (
    PART,
    FindPart,
    PartSerializer,
    is_unfinished,
    put_writes,
    read_reference,
)
from runs.thread_shapes import thread_config

_PUT = (
    "INSERT OR REPLACE INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, "
    "parent_checkpoint_id, type, checkpoint, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_AT = (
    "SELECT thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, "
    "metadata FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"
)


class _Row(NamedTuple):
    """A row of `checkpoints`."""

    thread_id: str
    ns: str
    checkpoint_id: str
    parent_id: str | None
    type: str
    checkpoint: bytes
    metadata: bytes | None


class Checkpoints(AsyncSqliteSaver):
    """The library's saver with the hot path on `RunDatabase`.

    A run's writes go through its journal and share commits; the library alone would commit, and
    wait for, each of them. Without a journal (editing a thread) a write is on disk on return.
    """

    def __init__(self, database: RunDatabase, connection: aiosqlite.Connection) -> None:
        super().__init__(connection)
        self.database = database
        self._states = ThreadStates(database)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint with its pending writes: the named one, or the latest."""
        # Of what a run goes on from, its next checkpoint writes only what is new.
        return await self._get(config, remember=JOURNAL in config["configurable"])

    async def _get(self, config: RunnableConfig, *, remember: bool) -> CheckpointTuple | None:
        configurable = config["configurable"]
        thread_id, ns = str(configurable["thread_id"]), configurable.get("checkpoint_ns", "")
        journal: Journal | None = configurable.get(JOURNAL)
        if journal and journal.has_pending_write(ns):
            # A subgraph that is tried again reads what it has just written.
            journal.release_all_writes()
            await journal.wait_flushed()
        row = self._find_row(thread_id, ns, get_checkpoint_id(config))
        if row is None:
            return None
        return await self._load(row, PartReader(thread_id, self.serde), remember=remember)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """List checkpoints, newest first. Each is read when it is asked for."""
        where, parameters = search_where(config, filter, before)
        addresses = await self.database.rows(
            "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints "
            f"{where} ORDER BY checkpoint_id DESC LIMIT ?",
            (*parameters, -1 if limit is None else limit),
        )
        # One for each thread: states that follow each other have most of their parts in common.
        readers: dict[str, PartReader] = {}
        for thread_id, ns, checkpoint_id in addresses:
            reader = readers.setdefault(thread_id, PartReader(thread_id, self.serde))
            row = self._find_row(thread_id, ns, checkpoint_id)
            if row and (listed := await self._load(row, reader, remember=False)):
                yield listed

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Read the writes of delta channels, checkpoint by checkpoint."""
        # The SQLite saver's own way looks into blobs, where large values do not stand.
        return await BaseCheckpointSaver.aget_delta_channel_history(
            self, config=config, channels=channels
        )

    def _find_row(self, thread_id: str, ns: str, checkpoint_id: str | None) -> _Row | None:
        if checkpoint_id:
            row = self.database.row(f"{_AT} AND checkpoint_id = ?", (thread_id, ns, checkpoint_id))
        else:
            row = self.database.row(f"{_AT} ORDER BY checkpoint_id DESC LIMIT 1", (thread_id, ns))
        return _Row._make(row) if row else None

    async def _load(
        self, row: _Row, reader: PartReader, *, remember: bool
    ) -> CheckpointTuple | None:
        """Make the tuple of a row, with the writes on top of it; None for one that is deleted."""
        at = Address(row.thread_id, row.ns)
        decoded = decode(row.type, row.checkpoint, self.serde)
        rows = self.database.rows_inline(pending_writes_sql(True), (*at, row.checkpoint_id))
        references = [read_reference(value) for _, _, type_, value, *_ in rows if type_ == PART]
        try:
            checkpoint = await self._states.complete(
                at, decoded, reader, self.serde, remember=remember
            )
            written = await self._states.read_parts(references, reader)
        except PartsMissingError:
            if self._find_row(*at, row.checkpoint_id):
                raise
            return None
        return CheckpointTuple(
            # Whole even where the caller named no namespace: LangGraph writes beside it.
            thread_config(row.thread_id, row.checkpoint_id, row.ns),
            checkpoint,
            cast(CheckpointMetadata, orjson.loads(row.metadata) if row.metadata else {}),
            thread_config(row.thread_id, row.parent_id, row.ns) if row.parent_id else None,
            load_pending_writes(rows, PartSerializer(self.serde, written)),
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
        parent_id = configurable.get("checkpoint_id")
        at = Address(thread_id, ns)
        if parent_id and not self._states.is_known(at, parent_id):
            await self._get(config, remember=True)
        # No code of users has run since the input's parent was read: a node might change a value
        # where it stands, which no version tells of.
        changed = new_versions if metadata.get("source") == "input" else None
        encoded = self._states.encode(at, checkpoint, parent_id, self.serde, changed)
        put = Statement(
            _PUT,
            (
                thread_id,
                ns,
                checkpoint["id"],
                parent_id,
                encoded.type,
                encoded.blob,
                dumps(get_checkpoint_metadata(config, metadata)),
            ),
        )
        statements = [*put_part(thread_id, checkpoint["id"], encoded), put]
        if journal:
            if not ns:
                # Steps that LangGraph hides have no event of their end; here they have ended.
                journal.release_all_writes()
            for statement in statements:
                journal.defer_write(statement, ns)
        else:
            await self.database.write(*statements)
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
            put = put_writes(
                config, writes, task_id, task_path, self.serde, self._find_part(config)
            )
        except Exception as error:
            if journal:
                journal.unstorable = error
            return _raise(error)
        if journal is None:
            return _write(self.database, put)
        # Only these have an event of their end, for which the write can wait.
        streamed = task_path and not task_path.endswith(START) and not is_unfinished(writes)
        namespace = config["configurable"]["checkpoint_ns"]
        journal.defer_write(put, namespace, task_id if streamed else None)
        return _do_nothing()

    def _find_part(self, config: RunnableConfig) -> FindPart:
        configurable = config["configurable"]
        at = Address(str(configurable["thread_id"]), str(configurable["checkpoint_ns"]))
        return partial(self._states.find_part, at, str(configurable["checkpoint_id"]))

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return the version of a channel that follows: later ones are larger, as texts."""
        # Without the random digits of the SQLite saver: nothing is stored by versions.
        return format_version(int(current.partition(".")[0]) + 1 if current else 1)

    def find_parts(self, key: str, values: Any) -> dict[str, Reference]:
        """Return which of these values, by name, are stored in the last state of a thread."""
        return self._states.find_parts(key, values) if isinstance(values, dict) else {}

    def forget(self, key: str) -> None:
        """Drop what is in memory of a thread that is deleted otherwise."""
        self._states.forget(key)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints of a thread; on disk on return, as what follows."""
        self._states.forget(thread_id)
        await self.database.write(*delete_thread(thread_id))

    async def rollback(self, key: str, run_ids: Sequence[str]) -> None:
        """Take a thread back to its state before these runs, its last ones."""
        self._states.forget(key)
        await self.database.write(*delete_runs(key, run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy every checkpoint of a thread under another name."""
        await self.database.write(*copy_thread(source_thread_id, target_thread_id))


async def _write(database: RunDatabase, statement: Statement) -> None:
    await database.write(statement)


async def _raise(error: Exception) -> None:
    raise error


async def _do_nothing() -> None:
    """Return at once: the write is in the journal."""


@asynccontextmanager
async def open_checkpoints(database: RunDatabase, path: Path) -> AsyncIterator[Checkpoints]:
    """Open the checkpointer on the database at `path`.

    Its own connection makes LangGraph's tables where they are missing, and lists.
    """
    async with aiosqlite.connect(path) as connection:
        checkpoints = Checkpoints(database, connection)
        await checkpoints.setup()
        yield checkpoints
