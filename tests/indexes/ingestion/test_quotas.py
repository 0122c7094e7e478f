"""How many ingests may wait: each tenant has its share, so that none fills the queue."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from config.errors import Busy
from config.quotas import Quota
from indexes.ingestion.jobs import MAX_WAITING, IngestJobs
from indexes.records import IndexRecord
from indexes.spec import IndexSpec
from indexes.storage.store import Store

QUOTA = Quota("max_ingests_per_tenant", 32, "ingests", retry_after_s=5)


def record(tenant: str) -> IndexRecord:
    return IndexRecord(f"of-{tenant}", tenant, IndexSpec(name="docs"), None, None, 0, 0, 0)


async def enter(jobs: IngestJobs, tenant: str, until: asyncio.Event) -> None:
    async with jobs.lock(record(tenant)):
        await until.wait()


async def test_tenant_with_many_ingests_leaves_room_for_others() -> None:
    jobs, until = IngestJobs(cast(Store, None), QUOTA), asyncio.Event()
    flood = [asyncio.create_task(enter(jobs, "flood", until)) for _ in range(QUOTA.limit)]
    await asyncio.sleep(0)

    with pytest.raises(Busy) as caught:
        await enter(jobs, "flood", until)
    other = asyncio.create_task(enter(jobs, "other", until))
    await asyncio.sleep(0)
    until.set()
    await asyncio.gather(*flood, other)

    assert caught.value.code == "quota_exceeded"
    await enter(jobs, "flood", until)


async def test_all_tenants_together_are_bounded() -> None:
    jobs, until = IngestJobs(cast(Store, None), QUOTA), asyncio.Event()
    waiting = [asyncio.create_task(enter(jobs, str(n), until)) for n in range(MAX_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(Busy, match="Too many"):
        await enter(jobs, "one more", until)

    until.set()
    await asyncio.gather(*waiting)


async def test_place_of_one_who_gave_up_is_free_again() -> None:
    jobs, until = IngestJobs(cast(Store, None), QUOTA), asyncio.Event()
    flood = [asyncio.create_task(enter(jobs, "a", until)) for _ in range(QUOTA.limit)]
    await asyncio.sleep(0)
    flood[-1].cancel()
    await asyncio.gather(flood[-1], return_exceptions=True)
    until.set()

    await enter(jobs, "a", until)

    await asyncio.gather(*flood[:-1])
