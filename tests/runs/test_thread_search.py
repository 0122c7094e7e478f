"""Threads are found by what their metadata holds, most recently used first."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from runs.metadata_index import COUNT_LIMIT, PAIR_LENGTH
from runs.record import Thread
from runs.stored_threads import StoredThreads
from tests.support.runs.engines import Storage
from tests.support.tenants import TENANT

LONG = "x" * (2 * PAIR_LENGTH)
VALUES: list[Any] = [
    1,
    1.0,
    True,
    None,
    "1",
    "",
    "a",
    LONG,
    LONG + "y",
    [1],
    {"a": 1},
    0.1 + 0.2,
    0.3,
]


@pytest.fixture
def threads(storage: Storage) -> StoredThreads:
    return storage.store.threads


def thread(metadata: Mapping[str, Any], at: float, agent: str | None = "three") -> Thread:
    return Thread(
        thread_id=str(uuid4()),
        tenant=TENANT,
        agent=agent,
        metadata=dict(metadata),
        created_at=0.0,
        updated_at=at,
    )


async def found(threads: StoredThreads, metadata: Mapping[str, Any], **page: int) -> list[float]:
    listed = await threads.list(tenant=TENANT, metadata=metadata, **{"limit": 1000, **page})
    return [each.updated_at for each in listed]


def holds(own: Thread, required: Mapping[str, Any]) -> bool:
    whole = {**own.metadata, **({"graph_id": own.agent} if own.agent else {})}
    return all(
        key in whole and type(whole[key]) is type(value) and whole[key] == value
        for key, value in required.items()
    )


async def test_a_search_finds_what_a_look_at_every_thread_would(threads: StoredThreads) -> None:
    chance = random.Random(7)
    stored = []
    for at in range(200):
        own = {key: chance.choice(VALUES) for key in "abc" if chance.random() < 0.8}
        stored.append(thread(own, float(at), chance.choice([None, "three", "four"])))
        await threads.create(stored[-1])

    for _ in range(100):
        required = {
            key: chance.choice(VALUES) for key in chance.sample("abc", chance.randint(1, 2))
        }
        if chance.random() < 0.3:
            required["graph_id"] = "three"
        expected = [each.updated_at for each in reversed(stored) if holds(each, required)]

        assert await found(threads, required) == expected, required
        assert await found(threads, required, limit=2, offset=1) == expected[1:3], required


async def test_a_thread_is_found_by_what_it_holds_now(threads: StoredThreads) -> None:
    one = thread({"a": 1, "b": 2}, 1.0, agent=None)
    await threads.create(one)

    one.metadata, one.updated_at, one.agent = {"a": 1, "c": 3}, 2.0, "three"
    await threads.save(one)

    assert await found(threads, {"b": 2}) == []
    for held in ({"a": 1}, {"c": 3}, {"graph_id": "three"}):
        assert await found(threads, held) == [2.0]


async def test_a_deleted_thread_leaves_nothing_in_the_index(
    threads: StoredThreads, storage: Storage
) -> None:
    one = thread({"a": 1, "name": LONG}, 1.0)
    await threads.create(one)

    await threads.delete(one.thread_id, tenant=TENANT)

    assert await storage.database.rows("SELECT * FROM thread_metadata") == []


async def test_of_several_pairs_the_rarest_is_followed(
    threads: StoredThreads, storage: Storage
) -> None:
    row = "(?, ?, NULL, ?, 0, ?, NULL)"
    columns = "thread_id, tenant, agent, metadata, created_at, updated_at, ttl_s"
    for first in range(0, 2 * COUNT_LIMIT, 500):
        many = [
            value
            for number in range(first, first + 500)
            for value in (str(uuid4()), TENANT, '{"app": "x"}', float(number))
        ]
        sql = f"INSERT INTO threads ({columns}) VALUES {', '.join([row] * 500)}"
        storage.database._writing.execute(sql, many)
    await threads.create(thread({"app": "x", "user": "u"}, -1.0))

    _, parameters = await threads._find(TENANT, '{"app": "x", "user": "u"}')

    assert '["user","text","u"]' in parameters
    assert await found(threads, {"app": "x", "user": "u"}) == [-1.0]
    assert await found(threads, {"app": "x"}, limit=2) == [1999.0, 1998.0]
