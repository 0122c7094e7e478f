"""States that grow are stored in parts: through runs, forks, edits, deletions and crashes."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiosqlite
import orjson
import pytest
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from runs.checkpoints import Checkpoints
from runs.engine import RunEngine
from runs.record import Run, RunRequest, thread_key
from runs.threads import Threads
from tests.support.runs.disk import Disk
from tests.support.runs.engines import EngineFactory, Storage, ended, read_events
from tests.support.runs.graphs import NodeGates
from tests.support.runs.growing import SERDE, TEXT, check_parts, growing_graphs
from tests.support.tenants import TENANT

TURNS = 12


@pytest.fixture
def process(tmp_path: Path, gates: NodeGates) -> EngineFactory:
    process = EngineFactory(tmp_path, gates)
    process.graphs.update(growing_graphs(gates))
    return process


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def turn(engine: RunEngine, thread_id: str, agent: str = "growing", **fields: Any) -> Run:
    request = RunRequest(
        **{
            "agent": agent,
            "input": {"x": 1},
            "thread_id": thread_id,
            "create_thread": True,
            "tenant": TENANT,
            **fields,
        }
    )
    run = await engine.submit(request)
    return await ended(engine, run.run_id)


async def values_of(threads: Threads, thread_id: str, checkpoint_id: str | None = None) -> Any:
    state = await threads.get_state(thread_id, checkpoint_id, tenant=TENANT)
    return orjson.loads(orjson.dumps(state["values"], default=lambda each: each.model_dump()))


async def texts_of(threads: Threads, thread_id: str) -> list[str]:
    said = (await values_of(threads, thread_id))["said"]
    assert all(text.endswith(TEXT) for text in said)
    return [text.partition(" ")[0] for text in said]


def table_bytes(file: Path, table: str, column: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        (size,) = connection.execute(f"SELECT sum(length({column})) FROM {table}").fetchone()
        return int(size or 0)


@pytest.mark.parametrize("agent", ["growing", "growing-within"])
async def test_a_turn_of_a_long_thread_writes_as_many_bytes_as_one_of_a_short_thread(
    process: EngineFactory, file: Path, agent: str
) -> None:
    thread_id = str(uuid4())
    written = []
    async with process.engine() as engine:
        for _ in range(3 * TURNS):
            before = sum(table_bytes(file, *each) for each in COLUMNS)
            assert (await turn(engine, thread_id, agent)).status == "finished"
            written.append(sum(table_bytes(file, *each) for each in COLUMNS) - before)

    assert max(written[-TURNS:]) < 1.2 * max(written[2:6])
    check_parts(file)


COLUMNS = (
    ("checkpoints", "checkpoint"),
    ("parts", "data"),
    ("writes", "value"),
    ("events", "batch"),
    ("runs", "output"),
)


async def test_each_state_of_a_thread_is_read_as_it_was_after_a_start_too(
    process: EngineFactory, file: Path
) -> None:
    thread_id = str(uuid4())
    seen: dict[str, Any] = {}
    for _ in range(3):
        async with process.engine() as engine:
            for _ in range(3):
                await turn(engine, thread_id, "marking")
                state = await process.threads.get_state(thread_id, tenant=TENANT)
                seen[state["checkpoint_id"]] = await values_of(process.threads, thread_id)

    async with process.engine():
        history = await process.threads.get_history(thread_id, limit=1000, tenant=TENANT)
        for checkpoint_id, values in seen.items():
            assert await values_of(process.threads, thread_id, checkpoint_id) == values

    assert len(history) == 9 * 5
    assert [len(state["values"].get("said", [])) for state in reversed(history)][::5] == [
        *range(0, 18, 2)
    ]
    check_parts(file)


async def test_what_a_node_changes_where_it_stands_is_stored_with_the_next_checkpoint(
    process: EngineFactory,
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        await turn(engine, thread_id, "marking", input={"x": 1})
        await turn(engine, thread_id, "marking", input={"x": 2})

    async with process.engine():
        notes = (await values_of(process.threads, thread_id))["notes"]

    assert [note["marks"] for note in notes] == [[1, 2], [2]]


async def test_what_a_failed_run_changed_where_it_stood_reaches_no_other_run(
    process: EngineFactory,
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        await turn(engine, thread_id, "marking", input={"x": 1})
        assert (await turn(engine, thread_id, "marking", input={"x": -1})).status == "failed"
        await turn(engine, thread_id, "marking", input={"x": 3})
        notes = (await values_of(process.threads, thread_id))["notes"]

    assert [note["marks"] for note in notes] == [[1, 3], [3], [3]]


async def test_a_reader_of_a_state_under_way_changes_nothing_of_it(
    process: EngineFactory, gates: NodeGates, file: Path
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        for _ in range(TURNS):
            await turn(engine, thread_id)
        before = table_bytes(file, "parts", "data")
        gates.hold("b")
        run = await engine.submit(
            RunRequest(agent="growing", input={"x": 1}, thread_id=thread_id, tenant=TENANT)
        )
        await gates.arrival("b")
        state = await process.threads.get_state(thread_id, tenant=TENANT)
        state["values"]["notes"][0]["marks"].append("reader")
        await process.threads.get_history(thread_id, limit=20, tenant=TENANT)
        gates.release("b")
        await ended(engine, run.run_id)
        notes = (await values_of(process.threads, thread_id))["notes"]

    assert notes[0]["marks"] == []
    assert table_bytes(file, "parts", "data") - before < 8 * len(TEXT)


async def test_forks_share_what_they_have_in_common_and_go_their_own_way(
    process: EngineFactory, file: Path
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        for _ in range(TURNS):
            await turn(engine, thread_id)
        history = await process.threads.get_history(thread_id, limit=1000, tenant=TENANT)
        old = next(each for each in history if len(each["values"]["said"]) == 10)
        before = table_bytes(file, "parts", "data")

        await turn(engine, thread_id, checkpoint_id=old["checkpoint_id"])

        assert await texts_of(process.threads, thread_id) == [str(n) for n in range(12)]
        assert table_bytes(file, "parts", "data") - before < 8 * len(TEXT)
        await process.threads.update_state(
            thread_id,
            {"said": [f"edited {TEXT}"]},
            as_node="b",
            checkpoint_id=history[0]["checkpoint_id"],
            tenant=TENANT,
        )
        assert (await texts_of(process.threads, thread_id))[-2:] == ["23", "edited"]
    check_parts(file)


async def test_a_copy_stays_when_its_source_is_deleted(process: EngineFactory, file: Path) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        for _ in range(3):
            await turn(engine, thread_id)
        copy = await process.threads.copy(thread_id, tenant=TENANT)
        await process.threads.delete(thread_id, tenant=TENANT)
        await turn(engine, copy["thread_id"])

        assert await texts_of(process.threads, copy["thread_id"]) == [str(n) for n in range(8)]
        assert check_parts(file)
        await process.threads.delete(copy["thread_id"], tenant=TENANT)

    assert check_parts(file) == 0


async def test_a_run_that_is_rolled_back_leaves_no_part(
    process: EngineFactory, gates: NodeGates, file: Path
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        await turn(engine, thread_id)
        gates.hold("b")
        first = RunRequest(agent="growing", input={"x": 2}, thread_id=thread_id, tenant=TENANT)
        await engine.submit(first)
        await gates.arrival("b")
        gates.release("b")
        await turn(engine, thread_id, multitask="rollback")

        assert await texts_of(process.threads, thread_id) == ["0", "1", "2", "3"]
    check_parts(file)


async def test_an_answer_takes_a_thread_back_from_its_edits_with_their_parts(
    process: EngineFactory, file: Path
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        run = await turn(engine, thread_id, "growing-asking")
        for number in range(2):
            await process.threads.update_state(
                thread_id, {"said": [f"edit{number} {TEXT}"]}, as_node="b", tenant=TENANT
            )
        check_parts(file)
        await engine.resume(run.run_id, "yes", tenant=TENANT)
        assert (await ended(engine, run.run_id)).status == "finished"

        assert await texts_of(process.threads, thread_id) == ["0", "edit0", "edit1", "yes", "4"]
    check_parts(file)


async def test_states_of_an_earlier_version_go_on_in_parts(
    process: EngineFactory, file: Path
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        for _ in range(TURNS):
            await turn(engine, thread_id)
        whole = await values_of(process.threads, thread_id)
    await store_as_before(file)

    async with process.engine() as engine:
        assert await values_of(process.threads, thread_id) == whole
        await turn(engine, thread_id)
        grown = table_bytes(file, "parts", "data")
        await turn(engine, thread_id)
        assert await texts_of(process.threads, thread_id) == [str(n) for n in range(28)]

    assert table_bytes(file, "parts", "data") - grown < 8 * len(TEXT)


async def store_as_before(file: Path) -> None:
    """Store every checkpoint whole, as versions without parts did."""
    async with aiosqlite.connect(file) as connection:
        rows = await connection.execute_fetchall(
            "SELECT rowid, thread_id, type, checkpoint FROM checkpoints"
        )
        for rowid, key, type_, blob in rows:
            checkpoint, references = decode_whole(file, key, type_, blob)
            assert references or not checkpoint["channel_values"].get("said")
            await connection.execute(
                "UPDATE checkpoints SET checkpoint = ? WHERE rowid = ?",
                (SERDE.dumps_typed(checkpoint)[1], rowid),
            )
        await connection.execute("DELETE FROM parts")
        await connection.execute("UPDATE runs SET output_parts = NULL")
        await connection.commit()


def decode_whole(file: Path, key: str, type_: str, blob: bytes) -> tuple[Checkpoint, Any]:
    from runs.parts.part_reader import PartReader
    from runs.parts.states import decode, read_values

    checkpoint, references = decode(type_, blob, SERDE)
    with closing(sqlite3.connect(file)) as connection:
        values = read_values(references, PartReader(key, SERDE).on(connection))
    checkpoint["channel_values"].update(values)
    return checkpoint, references


async def test_a_process_killed_at_any_commit_leaves_a_thread_that_is_whole_and_goes_on(
    process: EngineFactory, gates: NodeGates, tmp_path: Path
) -> None:
    thread_id = str(uuid4())
    disk = Disk(tmp_path / "runs.db")
    async with process.engine() as engine:
        disk.watch(process.database)
        for _ in range(3):
            await turn(engine, thread_id, "marking")
        disk.freeze()
    chance = random.Random(5)
    commits = range(2, len(disk.lengths))
    moments = sorted(chance.sample(commits, min(8, len(commits))))

    for moment in moments:
        folder = disk.leave(moment, tmp_path / f"left-{moment}")
        next_process = EngineFactory(folder, gates)
        next_process.graphs.update(growing_graphs(gates))
        check_parts(folder / "runs.db")
        async with next_process.engine() as engine:
            left = await next_process.store.list_runs(tenant=TENANT, thread_id=thread_id)
            for run in left:
                assert (await ended(engine, run.run_id)).status == "finished"
            said = await texts_of(next_process.threads, thread_id)
            assert said == [str(n) for n in range(2 * len(left))]
            await turn(engine, thread_id, "marking")
        check_parts(folder / "runs.db")


# outputs


async def test_an_output_that_the_state_holds_is_shown_whole_by_every_way(
    process: EngineFactory, file: Path
) -> None:
    thread_id = str(uuid4())
    shown: list[Any] = []
    async with process.engine() as engine:
        for number in range(TURNS):
            run = await turn(
                engine,
                thread_id,
                idempotency_key=f"key {number}" * 3,
                webhook="https://hook.test/",
            )
        await process.webhooks.wait_idle()
        events = await read_events(engine, run.run_id)
        shown = [run.output, events[-1]["data"]["output"], process.posted[-1][1]["output"]]
    expected = [f"{number} {TEXT}" for number in range(2 * TURNS)]

    async with process.engine() as engine:
        stored = engine.get(run.run_id, tenant=TENANT)
        assert stored.encoded_output
        assert stored.encoded_output.parts
        request = RunRequest(
            agent="growing",
            input={"x": 1},
            thread_id=thread_id,
            tenant=TENANT,
            idempotency_key=f"key {TURNS - 1}" * 3,
            webhook="https://hook.test/",
        )
        shown += [
            (await engine.submit(request)).output,
            (await engine.show(run.run_id, tenant=TENANT)).output,
            (await process.store.list_runs(tenant=TENANT, limit=1))[0].output,
            (await read_events(engine, run.run_id))[-1]["data"]["output"],
            (await process.store.events.read_page(run.run_id, 0, 100, tenant=TENANT))[-1].as_dict()[
                "data"
            ]["output"],
        ]

    assert [each["said"] for each in shown] == [expected] * len(shown)
    assert all(each == shown[0] for each in shown)
    assert list(shown[0]) == list(shown[-1])


async def test_pages_of_runs_with_large_outputs_end_by_their_bytes(
    process: EngineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        for _ in range(TURNS):
            await turn(engine, thread_id)
        monkeypatch.setattr("runs.store.PAGE_BYTES", 30_000)

        page = await process.store.list_runs(tenant=TENANT, limit=100)

    assert 1 <= len(page) < TURNS
    assert page.next == page[-1].run_id


async def test_a_live_reader_and_one_of_the_stored_log_get_the_same_bytes(
    process: EngineFactory, gates: NodeGates
) -> None:
    thread_id = str(uuid4())
    async with process.engine() as engine:
        await turn(engine, thread_id)
        gates.hold("b")
        run = await engine.submit(
            RunRequest(agent="growing", input={"x": 1}, thread_id=thread_id, tenant=TENANT)
        )
        await gates.arrival("b")
        live = asyncio.create_task(lines_of(engine, run.run_id))
        await asyncio.sleep(0)
        gates.release("b")

        assert await live == await lines_of(engine, run.run_id)


async def lines_of(engine: RunEngine, run_id: str) -> list[bytes]:
    batches = engine.follow(run_id, tenant=TENANT)
    return [event.json async for batch in batches for event in batch.events]


# beside LangGraph's own saver


@pytest.fixture
async def oracle(tmp_path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "oracle.db")) as saver:
        yield saver


@pytest.mark.parametrize("seed", range(3))
async def test_checkpoints_are_read_as_langgraphs_saver_reads_them(
    storage: Storage, oracle: AsyncSqliteSaver, seed: int
) -> None:
    chance = random.Random(seed)
    key = thread_key(TENANT, "thread")
    stored: list[tuple[str, str]] = []
    values: dict[tuple[str, str], dict[str, Any]] = {}

    for number in range(60):
        ns = chance.choice(["", "", "", "inner:1"])
        before = [at for at in stored if at[0] == ns]
        # Mostly the newest, sometimes an older one: a fork.
        parent = (
            (before[-1] if chance.random() < 0.8 else chance.choice(before)) if before else None
        )
        held = dict(values.get(parent, {})) if parent else {}
        held["log"] = [*held.get("log", []), {"n": number, "text": TEXT, "inner": [number]}]
        held["names"] = {**held.get("names", {}), f"name {number % 7}": f"{number} {TEXT}"}
        held["last"] = chance.choice([TEXT * 2, number, None, [TEXT, TEXT], held.get("last")])
        at = (ns, f"{number:04}")
        stored.append(at)
        values[at] = held
        for saver in (storage.checkpoints, oracle):
            await put(saver, key, at, parent, held)

    for saver_at in stored:
        config = {"configurable": {"thread_id": key, "checkpoint_ns": saver_at[0]}}
        for asked in (
            config,
            {"configurable": {**config["configurable"], "checkpoint_id": saver_at[1]}},
        ):
            ours = await storage.checkpoints.aget_tuple(asked)  # type: ignore[arg-type]
            theirs = await oracle.aget_tuple(asked)  # type: ignore[arg-type]
            assert ours == theirs
    everything = {"configurable": {"thread_id": key}}
    assert await listed(storage.checkpoints, everything) == await listed(oracle, everything)


async def put(
    saver: Checkpoints | AsyncSqliteSaver,
    key: str,
    at: tuple[str, str],
    parent: tuple[str, str] | None,
    held: dict[str, Any],
) -> None:
    configurable = {"thread_id": key, "checkpoint_ns": at[0]}
    if parent:
        configurable["checkpoint_id"] = parent[1]
    checkpoint = Checkpoint(
        v=4,
        id=at[1],
        ts="2026-01-01T00:00:00+00:00",
        channel_values=held,
        channel_versions={name: f"{len(held['log']):032}" for name in held},
        versions_seen={"a": {"log": f"{1:032}.0.25"}, "b": {"last": 3}},
        updated_channels=None,
    )
    await saver.aput({"configurable": configurable}, checkpoint, {"step": 1}, {})


async def listed(saver: Any, config: Any) -> list[CheckpointTuple]:
    return [each async for each in saver.alist(config, limit=30)]
