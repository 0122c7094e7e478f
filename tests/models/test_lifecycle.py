"""What people do with models: load, unload, pin, preload, watch, and try again without memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.errors import NotFound, TimedOut, Unavailable
from config.settings import load_settings
from models.catalog.file import load_models
from models.estimates_file import load_estimates
from models.lease import LeaseAttempt
from models.manager import NEEDS_FILE, Models, open_models
from tests.support.manager import TenByteMachine
from tests.support.models import FakeDrivers
from tests.support.tenants import TENANT

FILE = """
roles:
  chat: [first, second]
models:
  first: {task: chat, backend: reader, memory_bytes: 3}
  second: {task: chat, backend: reader, memory_bytes: 3}
  third: {task: chat, backend: reader, memory_bytes: 3, keep_alive_s: 0}
  eager: {task: chat, backend: reader, memory_bytes: 3, preload: true}
memory_cap_bytes: {ram: 10}
"""
BOUND_S = 120.0


class Scene:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.fakes = FakeDrivers()

    @property
    def log(self) -> list[str]:
        return self.fakes["reader"].log

    @asynccontextmanager
    async def models(self, file: str = FILE.replace("preload: true", "preload: false")) -> Any:
        (self.home / "models.yaml").write_text(file)
        settings = load_settings(home=self.home)
        async with open_models(settings, devices=TenByteMachine(), build=self.fakes) as models:
            models._drivers.get("reader")
            yield models


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def until(models: Models, events: AsyncIterator[Any], event: str, model: str) -> Any:
    async with asyncio.timeout(BOUND_S):
        async for each in events:
            if (each["event"], each.get("model")) == (event, model):
                return each
    raise AssertionError("the events ended")


def oom() -> Unavailable:
    return Unavailable("CUDA out of memory.", code="out_of_memory")


async def test_a_model_is_loaded_without_being_used(scene: Scene) -> None:
    async with scene.models() as models:
        status = await models.load("chat", tenant=TENANT)
        assert (status.model.name, status.state) == ("first", "ready")
        assert [each.leases for each in models.status()] == [0] * len(models.status())
        await models.load("first", tenant=TENANT)
        assert scene.log == ["load first"]


async def test_unload_returns_when_the_model_is_gone(scene: Scene) -> None:
    async with scene.models() as models:
        await models.load("first", tenant=TENANT)
        await models.unload("first")
        assert scene.log == ["load first", "unload first"]
        assert models.memory()[0].reserved_bytes == 0
        with pytest.raises(NotFound):
            await models.unload("first")


async def test_unload_waits_for_the_work_under_way(scene: Scene) -> None:
    async with scene.models() as models:
        async with models.lease("first", "chat", tenant=TENANT):
            unloading = asyncio.create_task(models.unload("first"))
            await asyncio.sleep(0)
            assert scene.log == ["load first"]
            with pytest.raises(TimedOut):
                await models.unload("first", wait_s=0.01)
        await asyncio.wait_for(unloading, BOUND_S)
        assert scene.log == ["load first", "unload first"]


async def test_unload_while_loading_serves_who_waits_and_ends_then(scene: Scene) -> None:
    async with scene.models() as models:
        driver = scene.fakes["reader"]
        driver.gate.clear()
        loading = asyncio.create_task(models.load("first", tenant=TENANT))
        await asyncio.wait_for(driver.loading.wait(), BOUND_S)
        unloading = asyncio.create_task(models.unload("first"))
        await asyncio.sleep(0)
        driver.gate.set()
        assert (await asyncio.wait_for(loading, BOUND_S)).model.name == "first"
        await asyncio.wait_for(unloading, BOUND_S)
        assert scene.log == ["load first", "unload first"]


async def test_unload_of_a_model_that_dies_meanwhile_returns(scene: Scene) -> None:
    async with scene.models() as models:
        async with models.lease("first", "chat", tenant=TENANT):
            unloading = asyncio.create_task(models.unload("first"))
            await asyncio.sleep(0)
            scene.fakes["reader"].loaded.pop().lost.set_result("killed")
            await asyncio.wait_for(unloading, BOUND_S)


async def test_a_pinned_model_outlives_its_keep_alive_until_the_pin_is_taken_back(
    scene: Scene,
) -> None:
    async with scene.models() as models:
        models.pin("third")
        events = models.follow_events()
        await models.load("third", tenant=TENANT)
        assert scene.log == ["load third"]
        models.pin("third", False)
        told = await until(models, events, "unloaded", "third")
        assert told["generation"] == 1
        with pytest.raises(NotFound, match="Did you mean 'third'"):
            models.pin("thirt")


async def test_models_to_preload_are_loaded_at_the_start_without_blocking_it(scene: Scene) -> None:
    async with scene.models(FILE) as models:
        events = models.follow_events()
        told = await until(models, events, "ready", "eager")
        assert (told["device"], told["memory"]) == ("cpu", {"ram": 3})


async def test_preload_that_fails_is_published_and_harms_no_one(scene: Scene) -> None:
    (scene.home / "models.yaml").write_text(FILE)
    async with scene.models(FILE) as models:
        events = models.follow_events()
        scene.fakes["reader"].broken["eager"] = ValueError("bad weights")
        told = await until(models, events, "load_failed", "eager")
        assert (told["failures"], told["error"]["code"]) == (1, "load_failed")
        async with models.lease("first", "chat", tenant=TENANT) as lease:
            assert lease.model.name == "first"


async def test_events_tell_the_life_of_a_model_in_order(scene: Scene) -> None:
    async with scene.models() as models:
        events = models.follow_events()
        async with models.lease("first", "chat", tenant=TENANT):
            pass
        await models.unload("first")
        seen = [await asyncio.wait_for(anext(events), BOUND_S) for _ in range(5)]
        names = [each["event"] for each in seen]
        assert names == ["loading", "progress", "ready", "unloading", "unloaded"]
        assert seen[3]["reason"] == "asked for"
        assert [each["seq"] for each in seen] == list(range(seen[0]["seq"], seen[0]["seq"] + 5))


async def test_work_out_of_memory_runs_again_with_idle_models_unloaded(scene: Scene) -> None:
    phases: list[str] = []
    tries = 0
    async with scene.models() as models:
        await models.load("second", tenant=TENANT)
        async for attempt in models.attempts(
            "first", "chat", tenant=TENANT, on_event=lambda event: phases.append(event["phase"])
        ):
            async with attempt as lease:
                tries += 1
                assert lease.model.name == "first"
                if tries == 1:
                    raise oom()
        assert tries == 2
        assert "out_of_memory" in phases
        assert scene.log == ["load second", "load first", "unload second"]
        assert all(each.leases == 0 for each in models.status())


async def run_out(models: Models, error: Exception, *, keep: bool = False) -> list[LeaseAttempt]:
    """Work that fails each time; the attempts it took."""
    tried: list[LeaseAttempt] = []
    with pytest.raises(type(error), match=r"bug|Ask it for less"):
        await _fail(models, error, keep, tried)
    assert all(each.leases == 0 for each in models.status())
    return tried


async def _fail(models: Models, error: Exception, keep: bool, tried: list[LeaseAttempt]) -> None:
    async for attempt in models.attempts("first", "chat", tenant=TENANT):
        tried.append(attempt)
        async with attempt:
            if keep:
                attempt.keep()
            raise error


async def test_work_out_of_memory_twice_fails_with_advice(scene: Scene) -> None:
    async with scene.models() as models:
        assert len(await run_out(models, oom())) == 2


async def test_work_that_has_shown_results_is_not_run_again(scene: Scene) -> None:
    async with scene.models() as models:
        assert len(await run_out(models, oom(), keep=True)) == 1


async def test_other_errors_and_success_run_once(scene: Scene) -> None:
    tries = 0
    async with scene.models() as models:
        assert len(await run_out(models, ValueError("a bug"))) == 1
        async for attempt in models.attempts("first", "chat", tenant=TENANT):
            async with attempt:
                tries += 1
        assert tries == 1


async def test_the_report_shows_how_often_a_load_failed_and_when_it_is_tried_again(
    scene: Scene,
) -> None:
    async with scene.models() as models:
        scene.fakes["reader"].broken["first"] = ValueError("bad weights")
        with pytest.raises(Unavailable, match="bad weights"):
            await models.load("first", tenant=TENANT)
        told = next(each for each in models.status() if each.model.name == "first").as_dict()
        assert (told["state"], told["failures"]) == ("failed", 1)
        assert 0 < told["retry_in_s"] <= 1.0


async def test_what_was_measured_is_known_at_the_next_start(scene: Scene) -> None:
    async with scene.models() as models:
        await models.load("first", tenant=TENANT)
    assert (scene.home / "needs.json").is_file()
    async with scene.models() as models:
        await models.load("first", tenant=TENANT)
        told = next(each for each in models.status() if each.model.name == "first")
        assert told.memory == {"ram": 3}


async def test_a_file_that_changes_keeps_leases_and_loads_anew_what_it_changed(
    scene: Scene,
) -> None:
    async with scene.models() as models:
        events = models.follow_events()
        async with (
            models.lease("first", "chat", tenant=TENANT),
            models.lease("second", "chat", tenant=TENANT),
        ):
            text = FILE.replace("preload: true", "preload: false")
            text = text.replace("first: {", "first: {source: other, ")
            text = text.replace("second: {", "second: {keep_alive_s: 0, ")
            (scene.home / "models.yaml").write_text(text)
            models.replace_file(load_models(load_settings(home=scene.home)))
            assert [each.leases for each in models.status() if each.leases] == [1, 1]
        await until(models, events, "unloaded", "second")
        async with models.lease("first", "chat", tenant=TENANT) as lease:
            assert lease.model.source == "other"
        assert scene.log.count("load first") == 2


async def test_nothing_is_synced_to_the_disk_on_the_event_loop(
    scene: Scene, sync_threads: list[threading.Thread]
) -> None:
    """A disk may take seconds for it."""
    async with scene.models() as models:
        await models.load("first", tenant=TENANT)
        await models.unload("first")

    assert load_estimates(scene.home / NEEDS_FILE).measurements
    assert sync_threads
    assert threading.main_thread() not in sync_threads
