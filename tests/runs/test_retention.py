"""What is deleted when it has grown old, and what is held however old it is."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from config.errors import Conflict, NotFound
from runs.database import Statement, open_run_database
from runs.engine import RunEngine
from runs.record import Run, RunRequest, thread_key
from runs.retention import Retention, RetentionPolicy
from runs.wal import WAL_LIMIT_BYTES
from tests.support.runs.engines import EngineFactory, ended
from tests.support.runs.graphs import NodeGates
from tests.support.tenants import TENANT
from tools.artifacts import Artifacts

DAY_S = 86_400.0
ALL = RetentionPolicy(runs_days=1, threads_days=1, artifacts_days=1, keys_days=1)


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


@pytest.fixture
async def later(engine: RunEngine, process: EngineFactory, artifacts: Artifacts) -> Retention:
    """Two days after everything that the test does."""
    return Retention(process.database, engine, artifacts, now=lambda: time.time() + 2 * DAY_S)


async def finish(engine: RunEngine, agent: str = "three", **fields: Any) -> Run:
    request = RunRequest(**{"agent": agent, "input": {"x": 0}, "tenant": TENANT, **fields})
    run = await engine.submit(request)
    return await asyncio.wait_for(engine.wait_ended(run.run_id, tenant=request.tenant), 240)


async def test_old_ended_runs_go_with_their_events_and_young_ones_stay(
    engine: RunEngine, process: EngineFactory, artifacts: Artifacts, later: Retention
) -> None:
    run = await finish(engine)

    now = Retention(process.database, engine, artifacts)
    assert (await now.prune(ALL, tenant=None)).runs == 0
    assert engine.get(run.run_id, tenant=TENANT).ended

    pruned = await later.prune(ALL, tenant=None)

    assert pruned.runs == 1
    assert process.database.row("SELECT count(*) FROM events") == (0,)
    with pytest.raises(NotFound):
        engine.get(run.run_id, tenant=TENANT)


async def test_runs_that_wait_or_are_under_way_are_held(
    engine: RunEngine, gates: NodeGates, later: Retention
) -> None:
    waiting = await finish(engine, "asking")
    gates.hold("a")
    under_way = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
    await gates.arrival("a")

    assert (await later.prune(ALL, tenant=None)).runs == 0
    gates.release("a")

    assert engine.get(waiting.run_id, tenant=TENANT).status == "waiting"
    assert (await ended(engine, under_way.run_id)).status == "finished"


async def test_a_run_whose_webhook_is_pending_is_held(
    engine: RunEngine, process: EngineFactory, later: Retention
) -> None:
    run = await finish(engine)
    pending = "INSERT INTO deliveries (run_id, url, next_at) VALUES (?, 'https://hook.test', 9e9)"
    await process.database.write(Statement(pending, (run.run_id,)))

    assert (await later.prune(ALL, tenant=None)).runs == 0
    await process.database.write(Statement("UPDATE deliveries SET state = 'given_up'"))
    assert (await later.prune(ALL, tenant=None)).runs == 1


async def test_a_copied_thread_keeps_its_state_when_the_first_one_goes(
    engine: RunEngine, process: EngineFactory, later: Retention
) -> None:
    source = await process.threads.create(tenant=TENANT)
    await finish(engine, thread_id=source["thread_id"])
    fork = await process.threads.copy(source["thread_id"], tenant=TENANT)
    await process.threads.delete(source["thread_id"], tenant=TENANT)

    await later.prune(RetentionPolicy(runs_days=1), tenant=None)

    state = await process.threads.get_state(fork["thread_id"], tenant=TENANT)
    assert state["values"] == {"x": 3, "log": ["a", "b", "c"]}
    assert (await finish(engine, thread_id=fork["thread_id"])).status == "finished"


async def test_of_a_threads_runs_the_last_one_and_the_state_stay(
    engine: RunEngine, process: EngineFactory, later: Retention
) -> None:
    thread_id = (await process.threads.create(tenant=TENANT))["thread_id"]
    first = await finish(engine, thread_id=thread_id)
    last = await finish(engine, thread_id=thread_id)

    pruned = await later.prune(RetentionPolicy(runs_days=1), tenant=None)

    assert pruned.runs == 1
    assert [run.run_id for run in await process.store.list_runs(tenant=TENANT)] == [last.run_id]
    history = await process.threads.get_history(thread_id, limit=100, tenant=TENANT)
    assert {state["metadata"]["run_id"] for state in history} == {first.run_id, last.run_id}


async def test_unused_threads_go_with_their_state_unless_a_person_is_asked(
    engine: RunEngine, process: EngineFactory, later: Retention
) -> None:
    old, asked = [(await process.threads.create(tenant=TENANT))["thread_id"] for _ in range(2)]
    await finish(engine, thread_id=old)
    await finish(engine, "asking", thread_id=asked)

    pruned = await later.prune(ALL, tenant=None)

    assert pruned.threads == 1
    assert process.database.row("SELECT DISTINCT thread_id FROM checkpoints") == (
        thread_key(TENANT, asked),
    )
    with pytest.raises(NotFound):
        await process.threads.get(old, tenant=TENANT)


async def test_a_threads_own_lifetime_ends_it_without_a_policy(
    process: EngineFactory, later: Retention
) -> None:
    short = await process.threads.create(ttl_s=DAY_S, tenant=TENANT)
    long = await process.threads.create(ttl_s=3 * DAY_S, tenant=TENANT)
    await process.threads.create(tenant=TENANT)

    pruned = await later.prune(RetentionPolicy(), tenant=None)

    assert pruned.threads == 1
    left = {each["thread_id"] for each in await process.threads.search(tenant=TENANT)}
    assert long["thread_id"] in left
    assert short["thread_id"] not in left


async def test_an_idempotency_key_expires_before_its_run(
    engine: RunEngine, later: Retention
) -> None:
    first = await finish(engine, idempotency_key="order")

    assert (await later.prune(RetentionPolicy(keys_days=1), tenant=None)).idempotency_keys == 1

    assert (await finish(engine, idempotency_key="order")).run_id != first.run_id
    assert engine.get(first.run_id, tenant=TENANT).ended


async def name_in_each(
    engine: RunEngine, process: EngineFactory, of_run: str, of_state: str, of_thread: str
) -> None:
    """Name artifacts in a run's output, in a thread's state and in its metadata."""
    metadata = {"portrait": of_thread}
    thread_id = (await process.threads.create(tenant=TENANT, metadata=metadata))["thread_id"]
    await finish(engine, thread_id=thread_id)
    await process.threads.update_state(thread_id, {"log": [f"saw {of_state}"]}, tenant=TENANT)
    run = await finish(engine)
    noted = Statement("UPDATE runs SET output = ? WHERE run_id = ?", (of_run, run.run_id))
    await process.database.write(noted)


async def test_artifacts_that_a_run_or_a_thread_names_are_held(
    engine: RunEngine, process: EngineFactory, artifacts: Artifacts, later: Retention
) -> None:
    of_run, of_state, of_thread, loose = [
        await artifacts.put(data, media_type="text/plain", tenant=TENANT)
        for data in (b"1", b"2", b"3", b"4")
    ]
    await name_in_each(engine, process, of_run.id, of_state.id, of_thread.id)

    pruned = await later.prune(RetentionPolicy(artifacts_days=1), tenant=None)

    assert (pruned.artifacts, pruned.artifact_bytes) == (1, 1)
    left = {each.id for each in await artifacts.list(tenant=TENANT)}
    assert left == {of_run.id, of_state.id, of_thread.id}
    assert loose.id not in left


async def test_a_dry_run_counts_and_deletes_nothing(
    engine: RunEngine, artifacts: Artifacts, later: Retention
) -> None:
    await artifacts.put(b"1", media_type="text/plain", tenant=TENANT)
    await finish(engine, idempotency_key="k")

    counted = await later.prune(ALL, tenant=None, dry_run=True)

    assert (counted.runs, counted.artifacts, counted.idempotency_keys) == (1, 1, 1)
    deleted = await later.prune(ALL, tenant=None)
    assert (deleted.runs, deleted.artifacts) == (1, 1)


async def test_a_dry_run_counts_the_runs_of_threads_as_they_are_deleted(
    engine: RunEngine, process: EngineFactory, later: Retention
) -> None:
    thread_id = (await process.threads.create(tenant=TENANT))["thread_id"]
    for _ in range(3):
        await finish(engine, thread_id=thread_id)
    await finish(engine)

    counted = await later.prune(ALL, tenant=None, dry_run=True)
    deleted = await later.prune(ALL, tenant=None)

    assert (counted.runs, counted.threads) == (4, 1)
    assert (deleted.runs, deleted.threads) == (4, 1)
    assert process.database.row("SELECT count(*) FROM runs") == (0,)


async def test_a_dry_run_counts_the_artifacts_that_only_what_goes_names(
    engine: RunEngine, process: EngineFactory, artifacts: Artifacts, later: Retention
) -> None:
    of_run, of_state, of_thread, of_other = [
        await artifacts.put(data, media_type="text/plain", tenant=TENANT)
        for data in (b"1", b"22", b"333", b"4444")
    ]
    await name_in_each(engine, process, of_run.id, of_state.id, of_thread.id)
    await process.threads.create(tenant=TENANT, metadata={"portrait": of_other.id})
    policy = RetentionPolicy(runs_days=1, artifacts_days=1)

    without_threads = await later.prune(policy, tenant=None, dry_run=True)
    counted = await later.prune(ALL, tenant=None, dry_run=True)
    deleted = await later.prune(ALL, tenant=None)

    assert (without_threads.artifacts, without_threads.artifact_bytes) == (1, 1)
    assert (counted.artifacts, counted.artifact_bytes) == (4, 10)
    assert (deleted.artifacts, deleted.artifact_bytes) == (4, 10)


async def test_pruning_for_one_tenant_leaves_those_of_others(
    engine: RunEngine, artifacts: Artifacts, later: Retention
) -> None:
    await finish(engine)
    await artifacts.put(b"1", media_type="text/plain", tenant=TENANT)

    of_other = await later.prune(ALL, tenant="other")
    assert (of_other.runs, of_other.artifacts) == (0, 0)
    assert (await later.prune(ALL, tenant="default")).runs == 1


async def test_the_file_shrinks_when_runs_are_deleted(
    engine: RunEngine, process: EngineFactory, later: Retention
) -> None:
    run = await finish(engine)
    row = Statement(
        "INSERT INTO events VALUES (?, ?, ?, zeroblob(1000000))", (run.run_id, 1000, 1000)
    )
    await process.database.write(row)
    (before,) = process.database.row("PRAGMA page_count") or (0,)

    pruned = await later.prune(ALL, tenant=None)

    (after,) = process.database.row("PRAGMA page_count") or (0,)
    assert pruned.freed_bytes >= 950_000
    assert after < before - 200


async def test_a_database_from_before_shrinks_too(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    async with open_run_database(file):
        pass
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA auto_vacuum=NONE")
        connection.execute("VACUUM")

    async with open_run_database(file) as database:
        assert database.row("PRAGMA auto_vacuum") == (2,)


async def test_the_log_of_the_database_is_cut_when_a_long_reader_has_ended(
    engine: RunEngine, process: EngineFactory, tmp_path: Path
) -> None:
    run = await finish(engine)
    reader = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM runs").fetchall()
    log = tmp_path / "runs.db-wal"

    def append(number: int) -> asyncio.Future[None]:
        return process.database.write(
            Statement(
                "INSERT INTO events VALUES (?, ?, ?, zeroblob(1000000))",
                (run.run_id, 1000 + number, 1000 + number),
            )
        )

    for number in range(40):
        await append(number)
    assert log.stat().st_size > WAL_LIMIT_BYTES
    reader.close()
    for number in range(40, 80):
        await append(number)
    await finish(engine)

    assert log.stat().st_size <= WAL_LIMIT_BYTES + 8_000_000


async def test_an_ended_run_is_deleted_on_request_and_another_is_not(engine: RunEngine) -> None:
    done, waiting = await finish(engine), await finish(engine, "asking")

    await engine.delete(done.run_id, tenant=TENANT)

    with pytest.raises(NotFound):
        engine.get(done.run_id, tenant=TENANT)
    with pytest.raises(Conflict) as caught:
        await engine.delete(waiting.run_id, tenant=TENANT)
    assert caught.value.code == "run_not_ended"


async def test_a_run_of_another_tenant_is_not_deleted(engine: RunEngine) -> None:
    run = await finish(engine)

    with pytest.raises(NotFound):
        await engine.delete(run.run_id, tenant="other")

    assert engine.get(run.run_id, tenant=TENANT).ended


async def test_held_runs_and_their_threads_are_not_deleted(
    process: EngineFactory, gates: NodeGates, artifacts: Artifacts
) -> None:
    gates.hold("a")
    async with process.engine() as engine:
        thread_id = (await process.threads.create(tenant=TENANT))["thread_id"]
        run = await engine.submit(
            RunRequest(agent="three", input={"x": 0}, thread_id=thread_id, tenant=TENANT)
        )
        await gates.arrival("a")
    gates.release("a")

    async with process.engine(hold=True) as engine:
        later = Retention(process.database, engine, artifacts, now=lambda: time.time() + 2 * DAY_S)
        pruned = await later.prune(ALL, tenant=None)
        with pytest.raises(Conflict):
            await engine.delete(run.run_id, tenant=TENANT)
        await engine.take_up(run.run_id, tenant=TENANT)

        assert (pruned.runs, pruned.threads) == (0, 0)
        assert (await ended(engine, run.run_id)).status == "finished"


async def test_an_artifact_that_a_run_under_way_may_be_about_to_name_is_held(
    engine: RunEngine, process: EngineFactory, gates: NodeGates, artifacts: Artifacts
) -> None:
    gates.hold("a")
    run = await engine.submit(RunRequest(agent="three", input={"x": 0}, tenant=TENANT))
    await gates.arrival("a")
    made = await artifacts.put(b"1", media_type="text/plain", tenant=TENANT)
    soon = Retention(process.database, engine, artifacts, now=lambda: time.time() + 1)

    assert (await soon.prune(RetentionPolicy(artifacts_days=0), tenant=None)).artifacts == 0
    gates.release("a")
    await ended(engine, run.run_id)

    assert (await artifacts.get(made.id, tenant=TENANT)).id == made.id
    assert (await soon.prune(RetentionPolicy(artifacts_days=0), tenant=None)).artifacts == 1


async def test_both_files_of_the_database_are_small_when_all_is_pruned(
    engine: RunEngine, process: EngineFactory, later: Retention, tmp_path: Path
) -> None:
    run = await finish(engine)
    row = Statement(
        "INSERT INTO events VALUES (?, ?, ?, zeroblob(9000000))", (run.run_id, 1000, 1000)
    )
    await process.database.write(row)

    await later.prune(ALL, tenant=None)

    sizes = [(tmp_path / name).stat().st_size for name in ("runs.db", "runs.db-wal")]
    assert sum(sizes) < 1_000_000


async def test_a_thread_whose_runs_were_deleted_is_read_and_goes_on(
    engine: RunEngine, process: EngineFactory
) -> None:
    thread_id = (await process.threads.create(tenant=TENANT))["thread_id"]
    run = await finish(engine, thread_id=thread_id)

    await engine.delete(run.run_id, tenant=TENANT)

    state = await process.threads.get_state(thread_id, tenant=TENANT)
    assert state["values"]["x"] == 3
    assert (await finish(engine, thread_id=thread_id)).status == "finished"


async def test_a_run_from_an_older_checkpoint_stands_when_the_run_that_made_it_is_deleted(
    engine: RunEngine, process: EngineFactory, later: Retention
) -> None:
    thread_id = (await process.threads.create(tenant=TENANT))["thread_id"]
    first = await finish(engine, thread_id=thread_id)
    history = await process.threads.get_history(thread_id, limit=100, tenant=TENANT)
    checkpoint_id = history[1]["checkpoint"]["checkpoint_id"]
    await finish(engine, thread_id=thread_id, checkpoint_id=checkpoint_id)

    pruned = await later.prune(RetentionPolicy(runs_days=1), tenant=None)
    with pytest.raises(NotFound):
        engine.get(first.run_id, tenant=TENANT)

    assert pruned.runs == 1
    state = await process.threads.get_state(thread_id, checkpoint_id, tenant=TENANT)
    assert state["checkpoint"]["checkpoint_id"] == checkpoint_id
    again = await finish(engine, thread_id=thread_id, checkpoint_id=checkpoint_id)
    assert again.status == "finished"
