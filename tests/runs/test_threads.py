"""Threads: states read and written at any checkpoint, and what is refused."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from config.errors import Invalid, MotetError, NotFound
from runs.engine import RunEngine
from runs.record import RunRequest
from runs.threads import Threads
from tests.support.runs.engines import EngineFactory, ended
from tests.support.tenants import TENANT


@pytest.fixture
def threads(process: EngineFactory, engine: RunEngine) -> Threads:
    return process.threads


async def run_three(engine: RunEngine) -> str:
    """A thread with one finished run of `three`."""
    thread_id = str(uuid4())
    run = await engine.submit(
        RunRequest(
            agent="three", input={"x": 0}, thread_id=thread_id, create_thread=True, tenant=TENANT
        )
    )
    assert (await ended(engine, run.run_id)).status == "finished"
    return thread_id


async def test_state_at_a_checkpoint_names_its_whole_address(
    engine: RunEngine, threads: Threads
) -> None:
    thread_id = await run_three(engine)
    history = await threads.get_history(thread_id, tenant=TENANT)

    states = [
        await threads.get_state(thread_id, each["checkpoint_id"], tenant=TENANT) for each in history
    ]

    assert [each["checkpoint"] for each in states] == [each["checkpoint"] for each in history]
    assert all(each["checkpoint"]["checkpoint_ns"] == "" for each in states)


async def test_history_before_an_unknown_checkpoint_is_refused(
    engine: RunEngine, threads: Threads
) -> None:
    ran_on = await run_three(engine)
    unused = (await threads.create(tenant=TENANT))["thread_id"]

    for thread_id in (ran_on, unused):
        with pytest.raises(NotFound, match="has no checkpoint nosuch") as raised:
            await threads.get_history(thread_id, before="nosuch", tenant=TENANT)
        assert raised.value.code == "checkpoint_not_found"
        assert raised.value.details == {"field": "before"}


async def test_an_edit_of_an_older_checkpoint_forks_the_history(
    engine: RunEngine, threads: Threads
) -> None:
    thread_id = await run_three(engine)
    first = (await threads.get_history(thread_id, tenant=TENANT))[2]
    assert first["next"] == ["b"]

    written = await threads.update_state(
        thread_id, {"x": 10}, as_node="a", checkpoint_id=first["checkpoint_id"], tenant=TENANT
    )

    state = await threads.get_state(thread_id, tenant=TENANT)
    assert state["checkpoint"] == written["checkpoint"]
    assert state["parent_checkpoint"] == first["checkpoint"]
    assert (state["values"]["x"], state["next"]) == (10, ["b"])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"log": 5}, "values.log"),  # added to a list
        ({"logs": []}, "values.logs"),
        ({"__start__": {}}, "values.__start__"),
        ({"branch:to:a": None}, "values.branch:to:a"),
    ],
)
async def test_a_value_that_no_channel_takes_is_refused_with_its_field(
    engine: RunEngine, threads: Threads, values: dict[str, Any], field: str
) -> None:
    thread_id = await run_three(engine)

    with pytest.raises(Invalid) as refused:
        await threads.update_state(thread_id, values, as_node="c", tenant=TENANT)

    assert refused.value.details["field"] == field


@pytest.mark.parametrize("values", [[], "text", 5, [{"x": 1}]])
async def test_values_that_are_no_object_are_refused(
    engine: RunEngine, threads: Threads, values: Any
) -> None:
    thread_id = await run_three(engine)

    with pytest.raises(Invalid) as refused:
        await threads.update_state(thread_id, values, as_node="c", tenant=TENANT)

    assert refused.value.details["field"] == "values"


async def test_a_node_that_is_none_is_refused(engine: RunEngine, threads: Threads) -> None:
    thread_id = await run_three(engine)

    with pytest.raises(Invalid, match="no node 'd'") as refused:
        await threads.update_state(thread_id, {"x": 1}, as_node="d", tenant=TENANT)

    assert refused.value.details["field"] == "as_node"


async def test_a_fault_of_the_store_is_no_fault_of_the_caller(
    engine: RunEngine, threads: Threads, process: EngineFactory
) -> None:
    thread_id = await run_three(engine)
    process.database._writing.execute("PRAGMA query_only = ON")

    with pytest.raises(MotetError) as failed:
        await threads.update_state(thread_id, {"x": 1}, as_node="c", tenant=TENANT)

    process.database._writing.execute("PRAGMA query_only = OFF")
    assert failed.value.code == "run_storage_failed"


async def test_an_edited_thread_was_used(engine: RunEngine, threads: Threads) -> None:
    first, second = await run_three(engine), await run_three(engine)
    await threads.update_state(first, {"x": 1}, as_node="c", tenant=TENANT)

    listed = await threads.search(tenant=TENANT)

    assert [each["thread_id"] for each in listed] == [first, second]


@pytest.mark.parametrize("name", ["", ".", "a.", "a..b", "a b", "$", "'", "[0]", "ä", "1"])
async def test_history_is_not_chosen_by_a_name_that_is_no_path(
    engine: RunEngine, threads: Threads, name: str
) -> None:
    thread_id = await run_three(engine)

    with pytest.raises(Invalid) as refused:
        await threads.get_history(thread_id, metadata={name: 1}, tenant=TENANT)

    assert refused.value.details["field"] == "metadata"


async def test_history_is_chosen_by_what_its_metadata_holds(
    engine: RunEngine, threads: Threads
) -> None:
    thread_id = await run_three(engine)

    found = await threads.get_history(
        thread_id, metadata={"source": "input", "a-b.c_d": None}, tenant=TENANT
    )

    assert [each["metadata"]["source"] for each in found] == ["input"]


@pytest.mark.parametrize("checkpoint_id", ["nothing", "1f0-", "0" * 400, "\x00"])
async def test_a_checkpoint_that_is_none_is_not_found(
    engine: RunEngine, threads: Threads, checkpoint_id: str
) -> None:
    thread_id = await run_three(engine)

    with pytest.raises(NotFound) as missing:
        await threads.update_state(thread_id, {"x": 1}, checkpoint_id=checkpoint_id, tenant=TENANT)

    assert missing.value.code == "checkpoint_not_found"
