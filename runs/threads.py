"""What clients do with threads: create, read, edit, fork, copy and delete them.

Owns which operations a thread allows while runs use it. The protocol's shapes are
`thread_shapes`', running agents on threads is `engine`'s.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from langgraph.types import StateSnapshot

from config.errors import Conflict, MotetError, NotFound
from runs.checkpoints import Checkpoints
from runs.edit_checks import check_types, explain_user_errors
from runs.engine import RunEngine
from runs.pages import Page, fill_page
from runs.record import Thread
from runs.state_edits import StateEdit, write_edit
from runs.store import RunStore, is_duplicate
from runs.stream_translator import visible
from runs.thread_names import check_thread_name
from runs.thread_shapes import (
    EMPTY_STATE,
    check_filter,
    check_uuid,
    interrupt_dict,
    state_dict,
    thread_config,
    thread_dict,
    updated_dict,
)

if TYPE_CHECKING:
    from graphs.agent import Agent

IfExists = Literal["raise", "do_nothing"]


class Threads:
    """The threads of all tenants, apart from running agents on them.

    Every method raises `NotFound` for a thread that is not the tenant's.
    """

    def __init__(self, store: RunStore, checkpoints: Checkpoints, engine: RunEngine) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._engine = engine

    async def create(
        self,
        thread_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        if_exists: IfExists = "raise",
        ttl_s: float | None = None,
        tenant: str,
    ) -> dict[str, Any]:
        """Make a thread; with `do_nothing`, return the one that exists.

        `ttl_s` after it was last used, it is deleted.

        Raises `Conflict` (`thread_exists`) otherwise, and for a run's id (`thread_names_run`),
        `Invalid` for an id that is no UUID.
        """
        now = time.time()
        thread = Thread(
            thread_id=str(uuid4()) if thread_id is None else check_uuid(thread_id),
            tenant=tenant,
            agent=None,
            metadata=dict(metadata or {}),
            created_at=now,
            updated_at=now,
        )
        check_thread_name(self._store, thread.thread_id, tenant=tenant)
        try:
            await self._store.threads.create(thread, ttl_s)
        except Exception as error:
            if not is_duplicate(error):
                raise
            if if_exists == "raise":
                raise Conflict(
                    f"Thread with ID {thread_id} already exists",
                    code="thread_exists",
                    details={"field": "thread_id"},
                ) from error
            return await self.get(thread.thread_id, tenant=tenant)
        return thread_dict(thread, "idle")

    async def get(self, thread_id: str, *, tenant: str) -> dict[str, Any]:
        """Return the thread with its status, its latest values and its open questions."""
        thread = self._find(thread_id, tenant)
        summary = thread_dict(thread, "idle")
        if thread.agent is None:
            return summary
        try:
            snapshot = await self._snapshot(thread)
        except NotFound:  # a Python agent that is gone: nothing can read its state
            return summary
        runs = await self._store.list_runs(tenant=tenant, thread_id=thread_id, limit=1)
        failed = runs[0].error if runs and runs[0].status == "failed" else None
        return {
            **summary,
            "status": self._status(thread, snapshot, failed),
            "values": visible(snapshot.values) or None,
            "error": failed,
            "interrupts": {
                task.id: [interrupt_dict(item) for item in task.interrupts]
                for task in snapshot.tasks
                if task.interrupts
            },
        }

    async def search(
        self,
        *,
        metadata: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
        limit: int = 10,
        offset: int = 0,
        tenant: str,
    ) -> Page[dict[str, Any]]:
        """List the tenant's threads that hold this metadata, most recently used first.

        The page goes on at the offset `next`.
        """
        threads = await self._store.threads.list(
            tenant=tenant, metadata=metadata, ids=ids, limit=limit, offset=offset
        )
        shown = (await self.get(thread.thread_id, tenant=tenant) for thread in threads)
        return await fill_page(shown, limit, lambda page: str(offset + len(page)))

    async def update(
        self, thread_id: str, metadata: Mapping[str, Any], *, tenant: str
    ) -> dict[str, Any]:
        """Merge `metadata` into the thread's; on disk on return."""
        thread = self._find(thread_id, tenant)
        thread.metadata.update(metadata)
        thread.updated_at = time.time()
        await self._store.threads.save(thread)
        return await self.get(thread_id, tenant=tenant)

    async def delete(self, thread_id: str, *, tenant: str) -> None:
        """Delete the thread, its state and its runs.

        Raises `Conflict` (`thread_busy`) while a run is under way.
        """
        thread = self._find(thread_id, tenant)
        # Under the lock no run can join the thread between the look and the deletion.
        async with self._engine.hold_thread(thread_id, tenant=tenant):
            if busy := self._engine.find_busy(thread_id, tenant=tenant):
                raise Conflict(
                    f"Thread {thread_id} is busy with run {busy}: cancel it first.",
                    code="thread_busy",
                )
            self._checkpoints.forget(thread.key)
            await self._store.threads.delete(thread_id, tenant=tenant)

    async def copy(self, thread_id: str, *, tenant: str) -> dict[str, Any]:
        """Make a new thread with the same state and history: a fork that goes its own way."""
        source = self._find(thread_id, tenant)
        copied = await self.create(metadata=source.metadata, tenant=tenant)
        target = self._find(copied["thread_id"], tenant)
        target.agent = source.agent
        await self._checkpoints.acopy_thread(source.key, target.key)
        await self._store.threads.save(target)
        return await self.get(target.thread_id, tenant=tenant)

    async def get_state(
        self, thread_id: str, checkpoint_id: str | None = None, *, tenant: str
    ) -> dict[str, Any]:
        """Return the thread's state, now or at a checkpoint of its history."""
        thread = self._find(thread_id, tenant)
        if checkpoint_id:
            await self._check_has(thread, checkpoint_id, "checkpoint_id")
        if thread.agent is None:
            return EMPTY_STATE
        return state_dict(await self._snapshot(thread, checkpoint_id))

    async def get_history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tenant: str,
    ) -> Page[dict[str, Any]]:
        """List the thread's states, newest first; with `before`, those before that checkpoint.

        The page goes on before the checkpoint `next`. Raises `Invalid` for metadata whose names no
        filter takes, `NotFound` (`checkpoint_not_found`).
        """
        thread = self._find(thread_id, tenant)
        if before:
            await self._check_has(thread, before, "before")
        if thread.agent is None:
            return Page([])
        check_filter(metadata)
        graph = await self._graph(thread)
        states = graph.aget_state_history(
            thread_config(thread.key),
            limit=limit,
            before=thread_config(thread.key, before) if before else None,
            filter=dict(metadata) if metadata else None,
        )
        shown = (state_dict(snapshot) async for snapshot in states)
        return await fill_page(shown, limit, lambda page: str(page[-1]["checkpoint_id"]))

    async def update_state(
        self,
        thread_id: str,
        values: Any,
        *,
        as_node: str | None = None,
        checkpoint_id: str | None = None,
        tenant: str,
    ) -> dict[str, Any]:
        """Write `values` into the state as node `as_node` would; at an older checkpoint: a fork.

        A run that waits for a person on the thread goes on with the edit when it is answered.

        Raises `Invalid` for values that no node could write, `Conflict` while a run is under way.
        """
        thread = self._find(thread_id, tenant)
        if thread.agent is None:
            raise Conflict(
                f"Thread {thread_id} has no state yet: run an agent on it first.",
                code="thread_without_agent",
            )
        await self._engine.wait_left(thread_id, tenant=tenant)
        async with self._engine.hold_thread(thread_id, tenant=tenant):
            if self._engine.find_busy(thread_id, tenant=tenant):
                raise Conflict(f"Thread {thread_id} is busy.", code="thread_busy", retry_after_s=1)
            if checkpoint_id is not None:
                await self.get_state(thread_id, checkpoint_id, tenant=tenant)
            agent = await self._agent(thread)
            await self._engine.agents.compile_ahead(agent)
            waiting = self._engine.find_waiting(thread_id, tenant=tenant)
            asked_at = waiting.interrupts[0]["checkpoint_id"] if waiting else None
            edit = StateEdit(values, as_node, checkpoint_id)
            graph = self._engine.agents.compile(agent)
            check_types(agent, values)
            with explain_user_errors(agent):
                config = await write_edit(graph, self._checkpoints, thread.key, edit, asked_at)
            thread.updated_at = time.time()
            await self._store.threads.save(thread)
        return updated_dict(config)

    def _find(self, thread_id: str, tenant: str) -> Thread:
        thread = self._store.threads.find(thread_id, tenant=tenant)
        if thread is None:
            check_uuid(thread_id)
            raise NotFound(
                f"Thread with ID {thread_id} not found",
                code="thread_not_found",
                details={"field": "thread_id"},
            )
        return thread

    async def _agent(self, thread: Thread) -> Agent:
        """Return the thread's agent; one that is gone as the last run had it."""
        agents = self._engine.agents
        try:
            return await agents.find(str(thread.agent))
        except MotetError:
            last = await self._store.list_runs(
                tenant=thread.tenant, thread_id=thread.thread_id, limit=1
            )
            # Of a copy, or where its runs were deleted: as it was saved last.
            find = agents.find_of_run(last[0]) if last else agents.find_last(str(thread.agent))
            return await find

    async def _check_has(self, thread: Thread, checkpoint_id: str, field: str) -> None:
        """Check that the thread has a checkpoint. Raises `NotFound` (`checkpoint_not_found`)."""
        if await self._checkpoints.aget_tuple(thread_config(thread.key, checkpoint_id)) is None:
            raise NotFound(
                f"Thread {thread.thread_id} has no checkpoint {checkpoint_id}.",
                code="checkpoint_not_found",
                details={"field": field},
            )

    async def _graph(self, thread: Thread) -> Any:
        agent = await self._agent(thread)
        await self._engine.agents.compile_ahead(agent)
        return self._engine.agents.compile(agent)

    async def _snapshot(self, thread: Thread, checkpoint_id: str | None = None) -> StateSnapshot:
        graph = await self._graph(thread)
        snapshot: StateSnapshot = await graph.aget_state(thread_config(thread.key, checkpoint_id))
        return snapshot

    def _status(self, thread: Thread, snapshot: StateSnapshot, failed: Any) -> str:
        if self._engine.find_busy(thread.thread_id, tenant=thread.tenant):
            return "busy"
        if failed:
            return "error"
        return "interrupted" if snapshot.next else "idle"
