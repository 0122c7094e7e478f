"""Worker processes that die, hang, fail or run full: what is told, and what comes after."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from config.errors import MotetError, TimedOut, Unavailable
from models.scheduling import backoff
from models.workers import memory_kills
from tests.models.scenarios.conftest import Open
from tests.support.scenarios import backend
from tests.support.scenarios.handlers import FULL
from tests.support.scenarios.machine import PROCESS_MB, children
from tests.support.scenarios.stage import BOUND_S, Stage, mb, talking
from tests.support.socket_gate import SocketGate
from tests.support.tenants import TENANT


async def test_a_worker_killed_while_it_streams_fails_its_reader_and_is_replaced(
    stage: Open, held: SocketGate
) -> None:
    async with stage({"poet": mb(20)}) as on:
        async with on.models.lease("poet", "chat", tenant=TENANT) as lease:
            model = talking(lease)
            poem = model.say("one", "two", gate=held)
            assert await anext(poem) == "one"
            model.worker.kill()
            with pytest.raises(Unavailable, match="killed by SIGKILL") as caught:
                await anext(poem)
            assert caught.value.code == "worker_died"
            # The next is served while the one who was hit still holds its lease.
            assert await on.say("poet", "again") == ["again"]
        assert (await on.until("crashed", "poet"))["reason"] == "killed by SIGKILL"
        assert on.driver.started == ["poet", "poet"]
        assert abs(on.reserved_mb - on.taken_mb) < 20


async def test_a_crash_of_its_library_is_told_by_its_signal(stage: Open) -> None:
    async with stage({"poet": mb(20)}) as on:
        async with on.models.lease("poet", "chat", tenant=TENANT) as lease:
            with pytest.raises(Unavailable, match="SIGSEGV") as caught:
                await talking(lease).misbehave("crash")
        assert "Segmentation fault" in "\n".join(caught.value.details["stderr"])
        assert await on.say("poet", "again") == ["again"]


async def kill_loading_workers(on: Stage, held: SocketGate, count: int = 1) -> None:
    """Kill the worker that stands at the gate while it loads, and those that follow it."""
    for number in range(count):
        if number:
            await on.until("load_interrupted", "poet", times=number)
            held.close_again()
        await held.knocked()
        (worker,) = children() - on.machine.others
        psutil.Process(worker).kill()


@pytest.mark.parametrize("kills", [1, 2])
async def test_worker_killed_while_it_loads_fails_no_run_that_waits(
    stage: Open, held: SocketGate, kills: int
) -> None:
    async with stage({"poet": mb(20, loads_behind=held.path)}) as on:
        waiting = [asyncio.create_task(on.say("poet", "hello")) for _ in range(8)]
        await kill_loading_workers(on, held, kills)
        held.open()

        assert await asyncio.gather(*waiting) == [["hello"]] * 8

        assert on.driver.started == ["poet"] * (kills + 1)
        interrupted = await on.until("load_interrupted", "poet")
        assert interrupted["error"]["code"] == "worker_died"
        assert on.those("load_failed") == []


async def test_worker_killed_in_three_loads_fails_who_waits_and_leaves_nothing(
    stage: Open, held: SocketGate
) -> None:
    async with stage({"poet": mb(20, loads_behind=held.path)}) as on:
        waiting = [asyncio.create_task(on.say("poet", "hello")) for _ in range(3)]
        await kill_loading_workers(on, held, 3)

        for each in waiting:
            with pytest.raises(Unavailable, match="SIGKILL") as caught:
                await each
            assert caught.value.code == "worker_died"
        assert (on.reserved_mb, on.taken_mb) == (0, 0)
        assert (await on.until("load_failed", "poet"))["failures"] == 1
        held.open()
        await asyncio.sleep(await refused(on, "poet"))
        assert await on.say("poet", "hello") == ["hello"]


async def test_load_that_nobody_waits_for_is_not_repeated(stage: Open, held: SocketGate) -> None:
    async with stage({"poet": mb(20, loads_behind=held.path)}) as on:
        waiting = asyncio.create_task(on.say("poet", "hello"))
        await held.knocked()
        waiting.cancel()
        await asyncio.wait([waiting], timeout=BOUND_S)
        await kill_loading_workers(on, held)

        await on.until("load_failed", "poet")

        assert on.driver.started == ["poet"]


async def test_worker_killed_for_want_of_memory_is_loaded_again_without_idle_models(
    stage: Open, held: SocketGate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics = tmp_path / "vmstat"
    statistics.write_text("pgfault 7\noom_kill 3\n")
    monkeypatch.setattr(memory_kills, "VMSTAT", statistics)
    async with stage({"poet": mb(20, loads_behind=held.path), "idle": mb(20)}) as on:
        await on.say("idle", "hello")
        waiting = [asyncio.create_task(on.say("poet", "hello")) for _ in range(8)]
        await held.knocked()
        statistics.write_text("pgfault 9\noom_kill 4\n")
        (loading,) = children() - on.machine.others - {on.driver.latest("idle").worker.pid}
        psutil.Process(loading).kill()
        held.open()

        assert await asyncio.gather(*waiting) == [["hello"]] * 8

        assert (await on.until("unloading", "idle"))["reason"] == "'poet' ran out of memory"
        first, second = on.those("loading", "poet")
        assert second["memory"]["ram"] > first["memory"]["ram"]


async def test_start_that_takes_too_long_is_tried_again_for_who_waits(
    stage: Open, held: SocketGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "START_S", 2.0)
    async with stage({"poet": mb(20, loads_behind=held.path)}) as on:
        waiting = [asyncio.create_task(on.say("poet", "hello")) for _ in range(8)]
        interrupted = await on.until("load_interrupted", "poet")
        held.open()

        assert await asyncio.gather(*waiting) == [["hello"]] * 8
        assert interrupted["error"]["code"] == "worker_start_timed_out"


async def attempt(on: Stage, shows_first: bool = False) -> list[str]:
    """Have the poet say something, again where it died before; its first worker is killed."""
    words: list[str] = []
    async for each in on.models.attempts("poet", "chat", tenant=TENANT):
        async with each as lease:
            if shows_first:
                each.keep()
            if len(on.driver.loaded) == 1:
                talking(lease).worker.kill()
            words += [word async for word in talking(lease).say("hello")]
    return words


async def test_work_whose_model_died_right_after_its_load_gets_another(stage: Open) -> None:
    async with stage({"poet": mb(20)}) as on:
        assert await asyncio.gather(*[attempt(on) for _ in range(8)]) == [["hello"]] * 8
        assert on.driver.started == ["poet", "poet"]


async def test_work_that_has_shown_something_is_not_begun_again_when_its_model_dies(
    stage: Open,
) -> None:
    async with stage({"poet": mb(20)}) as on:
        with pytest.raises(Unavailable, match="SIGKILL"):
            await attempt(on, shows_first=True)


async def test_a_worker_killed_while_idle_is_noticed_and_loaded_anew(stage: Open) -> None:
    async with stage({"poet": mb(20)}) as on:
        await on.say("poet", "hello")
        on.driver.loaded[0].worker.kill()
        await on.until("crashed", "poet")
        assert (on.reserved_mb, on.taken_mb) == (0, 0)
        assert await on.say("poet", "again") == ["again"]


async def test_a_worker_that_dies_whenever_it_is_used_is_left_alone(stage: Open) -> None:
    async with stage({"poet": mb(20)}) as on:
        for _ in range(backoff.MAX_CRASHES + 1):
            async with on.models.lease("poet", "chat", tenant=TENANT) as lease:
                with pytest.raises(Unavailable, match="SIGSEGV"):
                    await talking(lease).misbehave("crash")
        assert await refused(on, "poet") > 30
        assert (await on.until("load_failed"))["error"]["code"] == "model_crash_loop"
        assert children() == on.machine.others


async def test_a_worker_that_hangs_is_ended_and_replaced(stage: Open) -> None:
    async with stage({"poet": mb(20)}) as on:
        async with on.models.lease("poet", "chat", tenant=TENANT) as lease:
            with pytest.raises(TimedOut) as caught:
                await talking(lease).misbehave("hang", silence_s=0.3)
            assert caught.value.code == "worker_timed_out"
        await on.until("crashed", "poet")
        assert await on.say("poet", "again") == ["again"]


async def test_a_load_that_fails_three_times_backs_off_and_leaks_no_process(
    stage: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "BACKOFF_S", (0.05, 0.1, 60.0))
    broken = tmp_path / "broken"
    broken.touch()
    async with stage({"poet": mb(20, broken_while=str(broken))}) as on:
        for failures in (1, 2, 3):
            with pytest.raises(Unavailable, match="bad magic number"):
                await on.say("poet", "hello")
            assert children() == on.machine.others
            told = await on.until("load_failed", "poet", times=failures)
            assert told["failures"] == failures
            left_s = await refused(on, "poet")
            if failures < 3:
                await asyncio.sleep(left_s)
        assert 50 < left_s < 61
        assert on.driver.started == ["poet"] * 3
        assert on.reserved_mb == 0


async def refused(on: Stage, name: str) -> float:
    """A model that failed a moment ago is not even tried; for how long, in seconds."""
    started = len(on.driver.started)
    with pytest.raises(MotetError, match="tried again") as caught:
        await on.say(name, "hello")
    assert caught.value.retry_after_s is not None
    assert len(on.driver.started) == started
    return caught.value.retry_after_s + 0.01


async def test_the_late_exit_of_an_old_worker_harms_no_new_one(
    stage: Open, held: SocketGate
) -> None:
    async with stage({"poet": mb(20, lingers=True)}) as on:
        await on.say("poet", "hello")
        await on.models.unload("poet")  # its process is there all the same
        async with on.models.lease("poet", "chat", tenant=TENANT) as lease:
            poem = talking(lease).say("one", "two", gate=held)
            assert await anext(poem) == "one"
            old, new = on.driver.loaded
            old.worker.kill()
            await asyncio.wait_for(old.lost, BOUND_S)
            held.open()
            assert [word async for word in poem] == ["two"]
        assert on.those("crashed") == []
        assert (on.state("poet"), new.lost.done()) == ("ready", False)
        assert await on.say("poet", "hello") == ["hello"]
        assert len(on.driver.started) == 2


async def picture(on: Stage, full: str, tried: list[str]) -> None:
    async for attempt in on.models.attempts("painter", "chat", tenant=TENANT):
        async with attempt as lease:
            tried.append(",".join(sorted(loaded(on))))
            await talking(lease).work(300, full)


def loaded(on: Stage) -> Sequence[str]:
    return [each.model.name for each in on.models.status() if each.state == "ready"]


@pytest.mark.parametrize("full", sorted(FULL))
async def test_work_that_runs_out_of_memory_is_done_again_without_idle_models(
    stage: Open, full: str
) -> None:
    async with stage({"painter": mb(20), "idle": mb(150)}) as on:
        await on.say("idle", "hello")
        tried: list[str] = []
        await picture(on, full, tried)
        assert tried == ["idle,painter", "painter"]
        assert (await on.until("out_of_memory", "painter"))["phase"] == "running"
        assert on.driver.started.count("painter") == 1


async def test_work_that_runs_out_of_memory_twice_fails_clearly(stage: Open) -> None:
    async with stage({"painter": mb(20), "idle": mb(20)}, total_mb=300) as on:
        await on.say("idle", "hello")
        tried: list[str] = []
        with pytest.raises(Unavailable, match="Ask it for less") as caught:
            await picture(on, "cuda", tried)
        assert caught.value.code == "out_of_memory"
        assert "tried again" in caught.value.message
        assert tried == ["idle,painter", "painter"]
        assert await on.say("painter", "hello") == ["hello"]


async def test_a_load_that_runs_out_of_memory_is_tried_once_more_and_then_fails(
    stage: Open,
) -> None:
    async with stage({"greedy": mb(600, says_mb=100)}) as on:
        with pytest.raises(Unavailable, match="MemoryError") as caught:
            await on.say("greedy", "hello")
        assert caught.value.code == "out_of_memory"
        assert on.driver.started == ["greedy", "greedy"]
        assert (await on.until("out_of_memory", "greedy"))["phase"] == "loading"
        assert on.taken_mb == on.reserved_mb == 0
        first, second = on.those("loading", "greedy")
        assert second["memory"]["ram"] > first["memory"]["ram"] == (100 + PROCESS_MB) * 10**6


async def test_a_load_that_runs_out_of_memory_has_idle_models_make_room_for_its_second_try(
    stage: Open,
) -> None:
    async with stage({"greedy": mb(360, says_mb=60), "idle": mb(110)}) as on:
        await on.say("idle", "hello")
        assert await on.say("greedy", "hello") == ["hello"]
        assert on.driver.started == ["idle", "greedy", "greedy"]
        assert (await on.until("unloading", "idle"))["reason"] == "'greedy' ran out of memory"
        await on.until("ready", "greedy")
        assert on.order("unloaded", "loading")[-2:] == ["unloaded idle", "loading greedy"]
