"""What is deleted when it has grown old: ended runs, unused threads, artifacts, idempotency keys.

Owns the rules of what is old and what is held, and the order of deletions. How a thread or a run is
deleted on request is `threads`' and `engine`'s.

Held, however old:
- a run that has not ended, waits or is held, or whose webhook is still to be called;
- the last run of a thread that is kept: it has the version of the agent that reads its state;
- a thread with a run under way or waiting for a person;
- an artifact that a run, an event or a thread's state names, copies of threads included;
- an artifact that is younger than the oldest run under way, which may be about to name it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any

from runs.checkpoint_statements import delete_thread as delete_checkpoints
from runs.database import RunDatabase, Statement
from runs.engine import RunEngine
from runs.record import thread_key
from runs.retention_statements import (
    EXPIRED_KEYS,
    EXPIRED_RUNS,
    EXPIRED_THREADS,
    OLDEST_UNENDED,
    RUNS_OF_THREAD,
    SCANS,
    delete_keys,
    delete_runs,
    delete_thread,
    expired_thread,
)
from tools.artifacts import Artifacts

log = logging.getLogger(__name__)

DAY_S = 86_400.0
INTERVAL_S = 3600.0
"""How often the policy of the settings is applied; the first time so long after the start."""
BATCH_RUNS = 50
"""Runs that are deleted in one transaction, so that runs under way wait for none for long."""
ARTIFACT_ID = re.compile(rb"(?=([0-9a-f]{64}))")
"""Every place where an id may begin: in doubt an artifact is held."""


@dataclass(frozen=True, slots=True)
class FreePages(Statement):
    """Gives up to `pages` of deleted rows back to the disk."""

    sql: str = "PRAGMA incremental_vacuum(1)"
    pages: int = 256

    def execute_on(self, connection: sqlite3.Connection) -> None:
        # One at a time: the pragma frees a page for each step, and Python steps it once.
        for _ in range(self.pages):
            connection.execute(self.sql)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """For how many days things are kept; None keeps them for ever.

    Threads with a lifetime of their own (`ttl`) end by that too.
    """

    runs_days: float | None = None
    threads_days: float | None = None
    artifacts_days: float | None = None
    keys_days: float | None = None


@dataclass(slots=True)
class Pruned:
    """What was deleted, or would be."""

    runs: int = 0
    threads: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0
    idempotency_keys: int = 0
    freed_bytes: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Retention:
    """Applies policies; `now` gives the epoch's seconds."""

    def __init__(
        self,
        database: RunDatabase,
        engine: RunEngine,
        artifacts: Artifacts,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._engine = engine
        self._artifacts = artifacts
        self._now = now
        self._pruning = asyncio.Lock()

    async def prune(
        self, policy: RetentionPolicy, *, tenant: str | None, dry_run: bool = False
    ) -> Pruned:
        """Delete what the policy does not keep, of one tenant or of all (None).

        With `dry_run` it is counted alone. On disk on return; what was cut off halfway is done by
        the next call.
        """
        async with self._pruning:
            pruned = Pruned()
            deleted = await self._prune_threads(policy, tenant, pruned, dry_run)
            await self._prune_runs(policy, tenant, pruned, deleted, dry_run)
            await self._prune_keys(policy, tenant, pruned, dry_run)
            await self._prune_artifacts(policy, tenant, pruned, deleted, dry_run)
            if not dry_run:
                pruned.freed_bytes = await self._free_pages()
                await self._database.fold_log()
        if not dry_run and any(pruned.as_dict().values()):
            log.info("pruned %s", ", ".join(f"{n} {k}" for k, n in pruned.as_dict().items() if n))
        return pruned

    async def prune_regularly(self, policy: RetentionPolicy) -> None:
        """Apply the policy to all tenants each hour, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.prune(policy, tenant=None)
            except Exception as error:  # a full disk, a folder that cannot be read: the next hour
                log.error("pruning failed: %s", type(error).__name__)

    def _before(self, days: float | None) -> float | None:
        return None if days is None else self._now() - days * DAY_S

    async def _prune_threads(
        self, policy: RetentionPolicy, tenant: str | None, pruned: Pruned, dry_run: bool
    ) -> set[str]:
        """Return the ids of runs and the keys of threads that are deleted, or would be."""
        deleted: set[str] = set()
        bounds = (self._before(policy.threads_days), self._now())
        for owner, thread_id in await self._list_expired_threads(bounds, tenant):
            if dry_run:
                deleted |= await self._list_with_thread(owner, thread_id, pruned)
                continue
            # Under the lock no run can join the thread between the look and the deletion.
            async with self._engine.hold_thread(thread_id, tenant=owner):
                if self._engine.find_busy(thread_id, tenant=owner):
                    continue
                still = expired_thread(thread_id, *bounds, tenant=owner)
                if self._database.row(*still) is None:
                    continue
                with_thread = await self._list_with_thread(owner, thread_id, pruned)
                await self._database.write(
                    *delete_checkpoints(thread_key(owner, thread_id)),
                    *delete_thread(thread_id, tenant=owner),
                )
                deleted |= with_thread
        return deleted

    async def _list_expired_threads(
        self, bounds: tuple[float | None, float], tenant: str | None
    ) -> list[tuple[str, str]]:
        expired: dict[tuple[str, str], None] = {}
        for query, bound in zip(EXPIRED_THREADS, bounds, strict=True):
            rows = await self._database.rows(query, (bound, tenant, tenant))
            expired.update(dict.fromkeys((owner, thread_id) for owner, thread_id in rows))
        return list(expired)

    async def _list_with_thread(self, tenant: str, thread_id: str, pruned: Pruned) -> set[str]:
        """Count a thread and its runs; return its key and their ids."""
        rows = await self._database.rows(RUNS_OF_THREAD, (tenant, thread_id))
        pruned.threads += 1
        pruned.runs += len(rows)
        return {thread_key(tenant, thread_id), *(run_id for (run_id,) in rows)}

    async def _prune_runs(
        self,
        policy: RetentionPolicy,
        tenant: str | None,
        pruned: Pruned,
        deleted: set[str],
        dry_run: bool,
    ) -> None:
        if (before := self._before(policy.runs_days)) is None:
            return
        # An ended run does not change any more, so the look and the deletion need no lock.
        rows = await self._database.rows(EXPIRED_RUNS, (before, tenant, tenant))
        # Those of a dry run are there still.
        expired = [run_id for (run_id,) in rows if run_id not in deleted]
        pruned.runs += len(expired)
        deleted.update(expired)
        for first in range(0, 0 if dry_run else len(expired), BATCH_RUNS):
            batch = expired[first : first + BATCH_RUNS]
            await self._database.write(*delete_runs(batch, tenant=tenant))

    async def _prune_keys(
        self, policy: RetentionPolicy, tenant: str | None, pruned: Pruned, dry_run: bool
    ) -> None:
        if (before := self._before(policy.keys_days)) is None:
            return
        [(count,)] = await self._database.rows(EXPIRED_KEYS, (before, tenant, tenant))
        pruned.idempotency_keys += count
        if count and not dry_run:
            await self._database.write(delete_keys(before, tenant))

    async def _prune_artifacts(
        self,
        policy: RetentionPolicy,
        tenant: str | None,
        pruned: Pruned,
        deleted: set[str],
        dry_run: bool,
    ) -> None:
        if (before := self._before(policy.artifacts_days)) is None:
            return
        (oldest,) = self._database.row(OLDEST_UNENDED) or (None,)
        before = min(before, before if oldest is None else oldest)
        old = await self._artifacts.list_older(before, tenant)
        held = await self._list_held(deleted) if old else set()
        for artifact in old:
            if artifact.id in held:
                continue
            if dry_run or await self._artifacts.delete_older(artifact, before):
                pruned.artifacts += 1
                pruned.artifact_bytes += artifact.size_bytes

    async def _list_held(self, deleted: set[str]) -> set[str]:
        """Collect what may be an id of an artifact in the rows of what is not `deleted`."""
        held: set[str] = set()
        async for page in self._scan():
            held |= await asyncio.to_thread(_find_ids, page, deleted)
        return held

    async def _scan(self) -> AsyncIterator[list[tuple[Any, ...]]]:
        # Page by page: one long read would keep the write-ahead log from being cut.
        for scan in SCANS:
            key = scan.first
            while rows := await self._database.rows(scan.sql, key):
                yield [row[len(key) :] for row in rows]
                key = rows[-1][: len(key)]

    async def _free_pages(self) -> int:
        """Give deleted pages back to the disk; return their bytes."""
        (page_bytes,) = self._database.row("PRAGMA page_size") or (0,)
        before = last = self._count_free()
        while last:
            await self._database.write(FreePages())
            if (left := self._count_free()) >= last:
                break  # a database that does not shrink
            last = left
        return max(0, before - last) * int(page_bytes)

    def _count_free(self) -> int:
        (pages,) = self._database.row("PRAGMA freelist_count") or (0,)
        return int(pages)


def _find_ids(rows: list[tuple[Any, ...]], deleted: set[str]) -> set[str]:
    ids: set[str] = set()
    for owner, *values in rows:
        if owner in deleted:
            continue
        for value in values:
            if value is not None:
                data = value.encode() if isinstance(value, str) else value
                ids |= {match.decode() for match in ARTIFACT_ID.findall(data)}
    return ids
