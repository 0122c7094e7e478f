"""Who asks, who waits and who leaves: nobody's work is cut, and nobody asks for a load twice."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from pathlib import Path

import pytest

from config.errors import Unavailable
from tests.models.scenarios.conftest import Open
from tests.support.scenarios.stage import BOUND_S, mb, talking
from tests.support.socket_gate import SocketGate
from tests.support.tenants import TENANT


async def test_unloading_a_model_never_cuts_a_stream(stage: Open, held: SocketGate) -> None:
    async with stage({"poet": mb(20)}) as on:
        async with on.models.lease("poet", "chat", tenant=TENANT) as lease:
            poem = talking(lease).say("one", "two", "three", gate=held)
            heard = [await anext(poem), await anext(poem)]
            await held.knocked()
            unloading = asyncio.create_task(on.models.unload("poet"))
            await asyncio.sleep(0)
            assert (on.state("poet"), on.those("unloading")) == ("draining", [])
            held.open()
            heard += [word async for word in poem]
            assert heard == ["one", "two", "three"]
        await asyncio.wait_for(unloading, BOUND_S)
        assert on.taken_mb == 0
        assert await on.say("poet", "again") == ["again"]


async def test_fifty_first_requests_at_once_make_one_load(stage: Open) -> None:
    async with stage({"poet": mb(20)}) as on:
        said = await asyncio.gather(*(on.say("poet", f"line {number}") for number in range(50)))
        assert said == [[f"line {number}"] for number in range(50)]
        assert on.driver.started == ["poet"]


async def test_fifty_that_wait_for_a_load_that_fails_are_all_told(
    stage: Open, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    async with stage({"poet": mb(20, broken_while=str(broken))}) as on:
        asked = (on.say("poet", "hello") for _ in range(50))
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert all("bad magic number" in str(error) for error in errors)
        assert on.driver.started == ["poet"]


async def test_fifty_that_leave_while_it_loads_leave_one_load(
    stage: Open, held: SocketGate
) -> None:
    async with stage({"poet": mb(20, loads_behind=held.path)}) as on:
        clients = [asyncio.create_task(on.say("poet", "hello")) for _ in range(50)]
        await held.knocked()
        for client in clients:
            client.cancel()
        await asyncio.wait(clients)
        held.open()
        await on.until("ready", "poet")
        assert await on.say("poet", "hello") == ["hello"]
        assert on.driver.started == ["poet"]


async def test_closing_while_a_worker_loads_ends_it(stage: Open, held: SocketGate) -> None:
    async with stage({"poet": mb(20, loads_behind=held.path)}) as on:
        client = asyncio.create_task(on.say("poet", "hello"))
        await held.knocked()
    await held.left()
    with pytest.raises(Unavailable) as caught:
        await client
    assert caught.value.code == "shutting_down"


async def test_a_storm_of_requests_and_kills_ends_every_request(stage: Open) -> None:
    names = ("one", "two", "three")  # of which two fit at once
    async with stage({name: mb(100) for name in names}) as on:

        async def kill_some() -> None:
            # Not more of them: a model that dies so often is left alone for a while.
            for count in (2, 4, 6):
                ready = await on.until("ready", times=count, bound_s=None)
                on.driver.latest(ready["model"]).worker.kill()

        killing = asyncio.create_task(kill_some())
        for seed in range(3):
            asked = random.Random(seed).choices(names, k=20)
            answers = await asyncio.gather(
                *(on.say(name, name) for name in asked), return_exceptions=True
            )
            for name, answer in zip(asked, answers, strict=True):
                assert answer == [name] or getattr(answer, "code", answer) == "worker_died"
        killing.cancel()
        await asyncio.wait([killing])
        for name in names:
            assert await on.say(name, "still here") == ["still here"]
        assert on.those("crashed")
        assert all(each.leases == each.waiting == 0 for each in on.models.status())


async def test_a_request_that_arrives_during_an_idle_unload_gets_a_new_load(
    stage: Open, held: SocketGate
) -> None:
    async with stage({"poet": mb(20, keep_alive_s=0, ends_behind=held.path)}) as on:
        assert await on.say("poet", "first") == ["first"]
        await held.knocked()  # its process is about to end
        assert (await on.until("unloading", "poet"))["reason"] == "idle"
        late = asyncio.create_task(on.say("poet", "second"))
        await asyncio.sleep(0)
        assert on.state("poet") == "stopping"
        held.open()
        assert await late == ["second"]
        assert on.order("unloaded", "loading")[:3] == [
            "loading poet",
            "unloaded poet",
            "loading poet",
        ]


async def test_a_client_that_leaves_frees_its_place(stage: Open, held: SocketGate) -> None:
    async with stage({"poet": mb(20, concurrency=1)}) as on:

        async def listen() -> None:
            async with on.models.lease("poet", "chat", tenant=TENANT) as lease:
                async with aclosing(talking(lease).say("one", "two", gate=held)) as poem:
                    async for _ in poem:
                        pass

        client = asyncio.create_task(listen())
        await held.knocked()
        next_one = asyncio.create_task(on.say("poet", "mine"))
        client.cancel()
        await asyncio.wait([client])
        await held.left()  # the worker stopped, with nobody opening the gate
        assert await asyncio.wait_for(next_one, BOUND_S) == ["mine"]
        assert on.driver.started == ["poet"]
