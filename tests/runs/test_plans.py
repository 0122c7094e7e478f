"""No statement of the run database does more because more was stored before."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from runs import schema
from runs.engine import RunEngine
from runs.idempotency import key_of_answer
from runs.metadata_index import METADATA_INDEX
from runs.record import Run, RunRequest
from runs.retention import Retention, RetentionPolicy
from tests.runs.test_conventions import strings, units
from tests.support.runs.engines import EngineFactory, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.runs.growing import growing_graphs
from tests.support.runs.statements import QUERY, StatementLog, explain, find_unbounded
from tests.support.tenants import TENANT
from tests.test_conventions import in_package
from tools.artifacts import Artifacts

UNBOUNDED = {
    "row_number() OVER (PARTITION BY": "sorts the webhooks that are due, for fairness among "
    "receivers; what is not delivered within a day is given up",
}
"""What may walk or sort more than it answers: part of the statement, and why."""
OWN_SIZE = {
    "FROM parts": "a state that a reader asks for, and that is not in memory, is read whole",
}
"""What does more for a larger answer: part of the statement, and what the answer is."""
TURNS = (4, 40)
KEY = "k" * 16


@pytest.fixture
def process(tmp_path: Path, gates: NodeGates) -> EngineFactory:
    process = EngineFactory(tmp_path, gates)
    process.graphs.update(growing_graphs(gates))
    return process


async def finish(engine: RunEngine, agent: str = "three", **fields: Any) -> Run:
    request = RunRequest(**{"agent": agent, "input": {"x": 0}, "tenant": TENANT, **fields})
    run = await engine.submit(request)
    return await ended(engine, run.run_id)


async def converse(process: EngineFactory, engine: RunEngine, thread_id: str) -> None:
    """One turn on a thread, and all that clients look at around it."""
    threads, store = process.threads, process.store
    run = await finish(
        engine, "growing", thread_id=thread_id, idempotency_key=str(uuid4()), input={"x": 0}
    )
    await read_events(engine, run.run_id)
    await store.events.read_page(run.run_id, 2, 2, tenant=TENANT)
    await store.list_runs(tenant=TENANT, limit=3, before=run.run_id)
    for narrowed in (
        {"agent": "growing"},
        {"status": "finished"},
        {"agent": "growing", "status": "finished"},
        {"thread_id": thread_id},
    ):
        await store.list_runs(tenant=TENANT, limit=3, **narrowed)  # type: ignore[arg-type]
    await threads.search(limit=3, tenant=TENANT)
    await threads.search(metadata={"of": "all"}, limit=3, tenant=TENANT)
    await threads.search(metadata={"of": "all", "graph_id": "growing"}, limit=3, tenant=TENANT)
    await threads.search(ids=[thread_id], tenant=TENANT)
    await threads.get_state(thread_id, tenant=TENANT)
    history = await threads.get_history(thread_id, limit=3, tenant=TENANT)
    await threads.get_state(thread_id, history[-1]["checkpoint_id"], tenant=TENANT)
    await threads.update_state(thread_id, {"x": 1}, as_node="b", tenant=TENANT)


async def ask_and_answer(process: EngineFactory, engine: RunEngine) -> None:
    thread_id = (await process.threads.create(tenant=TENANT, ttl_s=60))["thread_id"]
    run = await finish(engine, "asking", thread_id=thread_id)
    await process.threads.update_state(thread_id, {"x": 5}, tenant=TENANT)
    await process.threads.update_state(thread_id, {"x": 6}, as_node="a", tenant=TENANT)
    await engine.resume(
        run.run_id, "yes", tenant=TENANT, key=key_of_answer(TENANT, KEY, run.run_id, "yes")
    )
    await ended(engine, run.run_id)


async def roll_back(process: EngineFactory, engine: RunEngine, gates: NodeGates) -> None:
    thread_id = (await process.threads.create(tenant=TENANT))["thread_id"]
    gates.hold("b")
    await engine.submit(RunRequest(agent="three", input={}, thread_id=thread_id, tenant=TENANT))
    await gates.arrival("b")
    second = await engine.submit(
        RunRequest(
            agent="three", input={}, thread_id=thread_id, tenant=TENANT, multitask="rollback"
        )
    )
    gates.release("b")
    await ended(engine, second.run_id)


async def use_everything(process: EngineFactory, gates: NodeGates, folder: Path) -> None:
    """Executes every statement of the package."""
    async with process.engine() as engine:
        thread_id = (await process.threads.create(metadata={"of": "all"}, tenant=TENANT))[
            "thread_id"
        ]
        await converse(process, engine, thread_id)
        await ask_and_answer(process, engine)
        await roll_back(process, engine, gates)
        hooked = await finish(engine, webhook="https://hook.test/")
        await process.webhooks.wait_idle()
        await process.webhooks.resend(hooked)
        await process.webhooks.wait_idle()
        await process.threads.update(thread_id, {"and": "more"}, tenant=TENANT)
        copy = await process.threads.copy(thread_id, tenant=TENANT)
        await process.threads.delete(copy["thread_id"], tenant=TENANT)
        await engine.delete(hooked.run_id, tenant=TENANT)
        await process.store.claim((await finish(engine)).run_id, "a", tenant=TENANT)
        await process.store.versions.save("three", "1", {}, {})
        await engine.agents.list("three")
        gates.hold("b")
        cut = await engine.submit(RunRequest(agent="three", input={}, tenant=TENANT))
        await gates.arrival("b")
    gates.release("b")
    async with process.engine() as engine:
        await ended(engine, cut.run_id)
        grown = (await process.store.list_runs(tenant=TENANT, agent="growing", limit=1))[0]
        await read_events(engine, grown.run_id)
        await process.threads.get_state(grown.thread_id, tenant=TENANT)
        artifacts = Artifacts(folder / "artifacts")
        await artifacts.put(b"1", media_type="text/plain", tenant=TENANT)
        later = Retention(
            process.database, engine, artifacts, now=lambda: time.time() + 2 * 86_400.0
        )
        policy = RetentionPolicy(runs_days=1, threads_days=1, artifacts_days=1, keys_days=1)
        await later.prune(policy, tenant=None, dry_run=True)
        await later.prune(RetentionPolicy(keys_days=1), tenant=None)
        await later.prune(policy, tenant=None)


def literals() -> Iterator[tuple[str, str]]:
    """The beginning of each statement that the package's sources hold, with its place."""
    for module, tree in in_package("runs"):
        if module == "runs.schema":
            continue
        shared = vars(__import__(module, fromlist=["_"]))
        constants = {name: value for name, value in shared.items() if isinstance(value, str)}
        for name, unit in units(tree):
            for text in strings(unit, constants):
                if QUERY.match(text) and len(text.split()) > 1:
                    yield f"{module}.{name}", re.split(r"[{?]", text)[0]


def squeeze(sql: str) -> str:
    return " ".join(sql.split())


def contained(begin: str, statements: Iterable[str]) -> bool:
    return any(squeeze(begin) in sql for sql in statements)


async def test_no_statement_walks_or_sorts_what_has_grown(
    tmp_path: Path, process: EngineFactory, gates: NodeGates
) -> None:
    schema.prepare(tmp_path / "runs.db")
    log = StatementLog()
    with log.recording():
        await use_everything(process, gates, tmp_path)
    executed = log.queries()
    # In a trigger the old and new row are known values.
    triggers = [
        re.sub(r"\b(?:old|new)\.\w+", "?", statement)
        for sql in METADATA_INDEX
        for statement in re.findall(r"(?:INSERT|DELETE) [^;]+(?=;)", sql.partition("BEGIN")[2])
    ]

    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        found = {
            sql: lines
            for sql in (*executed, *triggers)
            if (lines := find_unbounded(explain(connection, sql)))
            and not any(part in sql for part in UNBOUNDED)
        }

    assert found == {}
    seen = [squeeze(sql) for sql in (*executed, *METADATA_INDEX)]
    assert [place for place, begin in literals() if not contained(begin, seen)] == []


async def test_a_turn_of_a_long_thread_takes_as_much_work_as_one_of_a_short_thread(
    tmp_path: Path, process: EngineFactory
) -> None:
    """Work is counted in SQLite's instructions."""
    log = StatementLog()
    work: list[dict[str, int]] = []
    with log.recording():
        async with process.engine() as engine:
            created = await process.threads.create(metadata={"of": "all"}, tenant=TENANT)
            for turn in range(1, TURNS[-1] + 1):
                log.steps.clear()
                await converse(process, engine, created["thread_id"])
                if turn in TURNS:
                    work.append({sql: max(log.steps[sql]) for sql in log.queries()})

    early, late = work
    grown = {
        sql: (early[sql], steps)
        for sql, steps in late.items()
        if steps > 1.5 * early[sql] + 20 and not any(part in sql for part in OWN_SIZE)
    }
    assert grown == {}
