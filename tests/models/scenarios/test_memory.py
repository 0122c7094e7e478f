"""Memory, measured on real processes: who may load, who has to go, and who is left alone."""

from __future__ import annotations

import asyncio

import pytest

from config.errors import Unavailable
from models.scheduling import pressure
from tests.models.scenarios.conftest import Open
from tests.support.scenarios.machine import MB, PROCESS_MB, Hog
from tests.support.scenarios.stage import BOUND_S, Stage, mb, talking
from tests.support.socket_gate import SocketGate
from tests.support.tenants import TENANT


@pytest.fixture
def read_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings of the devices every tenth of a second; a model need not have rested to go."""
    for name, value in (("READ_EVERY_S", 0.1), ("READ_AGAIN_S", 0.1), ("RESTED_S", 0.0)):
        monkeypatch.setattr(pressure, name, value)


async def readings(on: Stage, count: int) -> None:
    """Wait until the manager has looked at the devices so often."""
    seen = on.machine.readings + count
    async with asyncio.timeout(BOUND_S):
        while on.machine.readings < seen:
            await on.machine.read_next()


async def test_memory_that_another_program_took_is_made_up_for_by_an_idle_model(
    stage: Open,
) -> None:
    async with stage({"idle": mb(110), "wanted": mb(110)}) as on:
        await on.say("idle", "hello")
        with Hog(220):
            # Both would have fitted, but for the other program.
            assert await on.say("wanted", "hello") == ["hello"]
            assert (await on.until("unloading", "idle"))["reason"] == "room for 'wanted'"
            assert on.taken_mb < 500
        assert await on.say("idle", "hello") == ["hello"]
        assert len(on.those("unloading")) == 1


@pytest.mark.usefixtures("read_often")
async def test_pressure_of_another_program_unloads_one_idle_model_after_the_other(
    stage: Open,
) -> None:
    async with stage({name: mb(60) for name in ("one", "two", "three")}) as on:
        for name in ("one", "two", "three"):
            await on.say(name, "hello")
        with Hog(220):  # 520 MB of 500, and 420 without one model
            await on.until("unloaded", times=2)
            assert 280 < on.taken_mb < 370
            await readings(on, 3)
            assert on.order("unloading", "unloaded")[0::2] == [
                f"unloading {each['model']}" for each in on.those("unloaded")
            ]
            assert len(on.those("unloading")) == 2
            assert "pressure" in on.those("unloading")[0]["reason"]


@pytest.mark.usefixtures("read_often")
async def test_pressure_that_no_unload_would_cure_unloads_nothing(stage: Open) -> None:
    async with stage({"small": mb(20)}) as on:
        await on.say("small", "hello")
        with Hog(440):
            told = await on.until("pressure")
            assert (told["unloads"], told["used_share"] > 0.85) == ([], True)
            await readings(on, 3)
            assert on.state("small") == "ready"
            assert await on.say("small", "still here") == ["still here"]
        assert len(on.those("pressure")) == 1
        assert on.those("unloading") == []


@pytest.mark.usefixtures("read_often")
async def test_pressure_never_takes_a_model_that_is_in_use(stage: Open, held: SocketGate) -> None:
    async with stage({"busy": mb(100), "idle": mb(60)}) as on:
        await on.say("idle", "hello")
        async with on.models.lease("busy", "chat", tenant=TENANT) as lease:
            poem = talking(lease).say("one", "two", gate=held)
            assert await anext(poem) == "one"
            with Hog(300):  # 540 MB of 500, and 440 without the idle one
                await on.until("unloaded", "idle")
                await readings(on, 3)
                assert on.state("busy") == "ready"
                held.open()
                assert [word async for word in poem] == ["two"]


@pytest.mark.usefixtures("read_often")
async def test_what_a_model_takes_more_with_time_is_counted(stage: Open) -> None:
    async with stage({"leaky": mb(20), "other": mb(200)}) as on:
        async with on.models.lease("leaky", "chat", tenant=TENANT) as lease:
            await talking(lease).misbehave("leak")
        async with asyncio.timeout(BOUND_S):
            while on.reserved_mb < 180:  # its worker tells every two seconds
                await on.machine.read_next()
        await on.say("other", "hello")
        assert on.order("unloaded") == ["unloaded leaky"]


async def test_what_another_program_left_no_room_for_is_refused_with_the_numbers(
    stage: Open,
) -> None:
    async with stage({"idle": mb(20), "wanted": mb(200)}) as on:
        await on.say("idle", "hello")
        with Hog(350):
            with pytest.raises(Unavailable, match="cannot be unloaded by Motet") as caught:
                await on.say("wanted", "hello")
            assert (caught.value.code, caught.value.permanent) == ("insufficient_memory", False)
            assert caught.value.retry_after_s
            assert on.state("idle") == "ready"
        assert on.driver.started == ["idle"]
        assert await on.say("wanted", "hello") == ["hello"]


async def test_what_can_never_fit_is_refused_at_once_with_the_numbers(stage: Open) -> None:
    async with stage({"idle": mb(20), "huge": mb(1000)}) as on:
        await on.say("idle", "hello")
        with pytest.raises(Unavailable, match=r"needs 1\.0 GB of ram.*0\.4 GB in all") as caught:
            await on.say("huge", "hello")
        error = caught.value
        assert (error.code, error.permanent) == ("insufficient_memory", True)
        assert error.details["need_bytes"] == (1000 + PROCESS_MB) * MB
        assert error.details["cap_bytes"] == 425 * MB
        assert on.driver.started == ["idle"]
        assert on.those("unloading") == []


async def test_a_set_that_has_to_go_is_unloaded_in_one_decision(stage: Open) -> None:
    models = {name: mb(60) for name in ("one", "two", "three")}
    async with stage({**models, "big": mb(250)}) as on:
        for name in models:
            await on.say(name, "hello")
        assert await on.say("big", "hello") == ["hello"]
        await on.until("ready", "big")
        happened = [each.split()[0] for each in on.order("unloading", "unloaded")]
        assert happened == ["unloading"] * 2 + ["unloaded"] * 2
        assert on.order("loading")[-1] == "loading big"
        assert len(on.driver.started) == 4


async def test_a_small_load_passes_a_big_one_that_waits(stage: Open, held: SocketGate) -> None:
    async with stage({"busy": mb(110), "big": mb(300), "small": mb(30)}) as on:
        async with on.models.lease("busy", "chat", tenant=TENANT) as lease:
            poem = talking(lease).say("one", "two", gate=held)
            assert await anext(poem) == "one"
            big = asyncio.create_task(on.say("big", "at last"))
            told = await on.until("queued", "big")
            assert (told["verdict"], told["models"]) == ("waits", ["busy"])
            assert await on.say("small", "hello") == ["hello"]
            assert not big.done()
            held.open()
            assert [word async for word in poem] == ["two"]
        assert await asyncio.wait_for(big, BOUND_S) == ["at last"]
        assert on.driver.started == ["busy", "small", "big"]


async def test_what_a_model_really_takes_replaces_its_estimate(stage: Open) -> None:
    async with stage({"modest": mb(200, says_mb=60), "other": mb(220)}) as on:
        await on.say("modest", "hello")
        assert abs(on.reserved_mb - on.taken_mb) < 20
        assert on.reserved_mb > 200
        # By the estimates both would fit.
        await on.say("other", "hello")
        assert on.order("unloaded") == ["unloaded modest"]
