"""A process that is killed while it takes over an older database: the next one does it whole."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from runs import schema
from tests.runs.test_schema import FINISHED, RUNNING, UNVERSIONED, WAITING, query
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT

ROOT = Path(__file__).parents[2]
KILLS = 8
COPIES = 20_000
"""Of a run, so that the migration takes long enough to be killed in."""


def enlarge(file: Path) -> None:
    columns = [name for _, name, *_ in query(file, "PRAGMA table_info(runs)")]
    others = ", ".join(columns[1:])
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            f"INSERT INTO runs SELECT 'copy ' || i, {others} FROM runs, n WHERE run_id = ?",
            (COPIES, FINISHED),
        )
        connection.execute(
            "INSERT INTO threads SELECT run_id, tenant, agent, '{}', created_at, created_at "
            "FROM runs WHERE run_id LIKE 'copy %'"
        )


async def migrate(file: Path) -> asyncio.subprocess.Process:
    code = f"from pathlib import Path; from runs import schema; schema.prepare(Path({str(file)!r}))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment)


async def test_a_migration_killed_at_any_moment_is_done_by_the_next_start(tmp_path: Path) -> None:
    chance = random.Random(4)
    old = Path(shutil.copy(UNVERSIONED, tmp_path / "old.db"))
    enlarge(old)
    file = Path(shutil.copy(old, tmp_path / "runs.db"))
    began = time.monotonic()
    assert await (await migrate(file)).wait() == 0
    took_s = time.monotonic() - began
    whole = contents(file)
    left = set()

    for _ in range(KILLS):
        shutil.copy(old, file)
        process = await migrate(file)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), chance.uniform(0.3, 1) * took_s)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        left.add(query(file, "PRAGMA user_version")[0])
        schema.prepare(file)
        assert contents(file) == whole

    assert left <= {(0,), (schema.VERSION,)}
    assert (0,) in left
    async with EngineFactory(tmp_path, NodeGates()).engine() as engine:
        assert (await ended(engine, RUNNING)).output == {"x": 8, "log": ["a", "b", "c"]}
        await engine.resume(WAITING, "yes", tenant=TENANT)
        assert (await ended(engine, WAITING)).output["log"] == ["a", "answer:yes", "c"]
        assert len(await read_events(engine, FINISHED)) == 8


def contents(file: Path) -> list[list[tuple[object, ...]]]:
    tables = ("runs", "threads", "events", "checkpoints", "writes")
    return [query(file, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]
