"""Servers killed, and disks filled, at any moment: every errand ends as if nothing had been."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.errands import REFUSED, Errand, Shop, run_errands
from tests.support.full_disk import full
from tests.support.webhook_receiver import ReceiverProcess

KILLS, FULL_DISKS, KILLED_LOADS = 20, 10, 8
KILLED_OF_FULL_DISKS = 2
"""Every so many full disks end with the server that meets them."""
REFUSALS = 6
"""How often at most one asks in vain on each of them."""
PEOPLE = 6
"""Who run errands at once."""
LOOKING = 4
"""Runs that wait for one load."""


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(
        tmp_path / "home",
        tmp_path / "witness",
        allowed_networks='["127.0.0.1/32"]',
        log_level="error",
        max_crashes="1000",
    )
    await shop.open()
    yield shop
    await shop.close()


def check_all(shop: Shop, errands: list[Errand]) -> None:
    for errand in errands:
        errand.check(shop)
    assert max(shop.posted().values()) == 1


async def test_errands_survive_servers_killed_at_any_moment(
    shop: Shop, receiver: ReceiverProcess
) -> None:
    chance = random.Random(1)
    async with run_errands(shop, PEOPLE, receiver.url) as errands:
        for _ in range(KILLS):
            await shop.wait_moments(chance.randint(1, 60))
            await shop.kill()

    check_all(shop, errands)
    called = set()
    while len(called) < len(errands):
        body = (await receiver.next_call())["body"]
        [errand] = [each for each in errands if each.path.endswith(body["run_id"])]
        assert (body["status"], body["output"]) == ("finished", errand.run["output"])
        called.add(body["run_id"])
    assert any(errand.run["attempt"] > len(("begin", "answer", "answer")) for errand in errands)
    assert await count_runs(shop) == len(errands)


async def test_errands_survive_disks_filled_and_servers_killed_on_them(shop: Shop) -> None:
    """Who is refused meanwhile was never heard: no run begins, no edit and no answer is kept."""
    chance = random.Random(2)
    stranger = Errand("stranger")
    await stranger.begin(shop)
    async with run_errands(shop, PEOPLE) as errands:
        for number in range(FULL_DISKS):
            await shop.wait_moments(chance.randint(1, 60))
            with full(shop.server):
                for _ in range(chance.randint(1, REFUSALS)):
                    await stranger.be_refused(shop)
                if number % KILLED_OF_FULL_DISKS == 0:
                    await shop.kill()
        await stranger.end(shop)

    check_all(shop, [*errands, stranger])
    assert await count_runs(shop) == len(errands) + 1
    assert not [key for key in shop.posted() if key.startswith(REFUSED)]


async def test_runs_survive_the_worker_that_is_killed_while_it_loads(shop: Shop) -> None:
    """One more load serves all that wait."""
    picture = await upload(shop)
    captions = set()
    for _ in range(KILLED_LOADS):
        async with shop.client() as client:
            killing = asyncio.create_task(kill_at_load(shop, client))
            body = {"input": {"picture": picture, "index": ""}, "stream": False}
            looking = [client.post("/agents/describe/run", json=body) for _ in range(LOOKING)]
            ended = await asyncio.wait_for(asyncio.gather(*looking), 120)
            await killing
            await client.post("/models/describer/unload", json={})
        for answer in ended:
            assert answer.status_code == 200, answer.text
            captions.add(answer.json()["output"]["caption"])

    assert len(captions) == 1


async def count_runs(shop: Shop) -> int:
    listed = await shop.call("GET", "/runs", params={"limit": 1000})
    return len(listed.json()["runs"])


async def upload(shop: Shop) -> str:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(picture, "PNG")
    files = {"files": ("red.png", picture.getvalue(), "image/png")}
    uploaded = (await shop.call("POST", "/artifacts", files=files)).json()
    return str(uploaded["artifacts"][0]["url"])


async def kill_at_load(shop: Shop, client: httpx.AsyncClient) -> None:
    """Kill the worker of the describer as soon as its load is told and its process is there."""
    async with client.stream("GET", "/models/events") as events:
        async for line in events.aiter_lines():
            if '"event":"loading"' in line and '"describer"' in line:
                break
    while not (workers := shop.workers("describer")):
        await client.get("/health")
    workers[0].kill()
