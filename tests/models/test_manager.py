"""Leases: resolved, loaded, lent out and given back."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import uvloop

from config.errors import Invalid, NotFound, TimedOut, Unavailable
from models.availability import PassedOver
from models.manager import Models
from tests.support.manager import Scene
from tests.support.tenants import TENANT

BOUND_S = 120.0


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_lease_gives_the_loaded_model_and_why_it_was_chosen(scene: Scene) -> None:
    events: list[dict[str, Any]] = []
    async with scene.models() as models:
        async with models.lease("chat", "chat", on_event=events.append, tenant=TENANT) as lease:
            assert lease.capability is scene.fakes["reader"].loaded[0].capability
            assert lease.chat is lease.capability
            assert lease.model.name == "first"
            with pytest.raises(TypeError):
                _ = lease.embed
    assert [event["phase"] for event in events] == ["chosen", "loading", "warming", "ready"]
    assert events[0]["reason"] == "first available of role 'chat'"
    why = "it has no model for chat, and models.yaml declares none"
    assert events[0]["passed_over"] == [
        {"model": "ollama/*", "why": why, "state": "absent"},
        {"model": "openai/*", "why": why, "state": "absent"},
    ]
    assert scene.fakes["reader"].log == ["load first", "unload first"]


async def test_discovered_model_is_taken_before_the_embedded_one(scene: Scene) -> None:
    async with scene.models() as models:
        scene.fakes["ollama"].found = ["best", "other"]
        choice = await models.resolve("chat", "chat")
        assert (choice.model.name, choice.passed_over) == ("ollama/best", ())
        assert choice.reason == "first of role 'chat', found by ollama/*"


async def test_an_unreachable_back_end_is_passed_over_with_its_reason(scene: Scene) -> None:
    async with scene.models() as models:
        scene.fakes["ollama"].down = "Ollama does not answer."
        choice = await models.resolve("chat", "chat")
        assert choice.passed_over[0] == PassedOver("ollama/*", "Ollama does not answer.", "absent")


async def test_a_model_that_cannot_be_loaded_is_passed_over_for_the_next(scene: Scene) -> None:
    async with scene.models() as models:
        scene.fakes["reader"].broken["first"] = ValueError("bad magic number")
        async with models.lease("chat", "chat", tenant=TENANT) as lease:
            assert lease.model.name == "second"
            why = "'first' cannot be loaded: ValueError: bad magic number"
            assert PassedOver("first", why, "unavailable") in lease.choice.passed_over
        # Its back-off is known now, so that it is not even tried.
        choice = await models.resolve("chat", "chat")
        assert choice.model.name == "second"
        assert "tried again" in choice.passed_over[-1].why


async def test_a_role_without_an_available_model_says_why_for_each(scene: Scene) -> None:
    async with scene.models() as models:
        scene.fakes["reader"].down = "its file is missing"
        with pytest.raises(Unavailable, match="its file is missing") as caught:
            await models.resolve("chat", "chat")
        assert caught.value.code == "role_unavailable"
        assert len(caught.value.details["passed_over"]) == 4


async def test_a_role_with_one_model_fails_with_that_models_own_error(scene: Scene) -> None:
    async with scene.models() as models:
        broken = NotFound("No such file.", code="model_missing")
        scene.fakes["reader"].broken["first"] = broken
        with pytest.raises(NotFound) as caught:
            async with models.lease("other", "chat", tenant=TENANT):
                pass
        assert caught.value is broken


async def test_names_are_checked(scene: Scene) -> None:
    async with scene.models() as models:
        with pytest.raises(NotFound, match="Did you mean 'chat'"):
            await models.resolve("chatt", "chat")
        with pytest.raises(NotFound):
            await models.resolve("nobody/knows", "chat")
        with pytest.raises(Invalid, match="is for embedding, not for chat"):
            await models.resolve("vectors", "chat")
        named = await models.resolve("ollama/tiny:latest", "chat")
        assert (named.model.source, named.reason) == ("tiny:latest", "asked for by name")


async def test_concurrent_leases_share_one_load(scene: Scene) -> None:
    async def use(models: Models) -> object:
        async with models.lease("first", "chat", tenant=TENANT) as lease:
            return lease.capability

    async with scene.models() as models:
        async with asyncio.timeout(BOUND_S):
            used = await asyncio.gather(*(use(models) for _ in range(50)))
        assert len(set(used)) == 1
        assert scene.fakes["reader"].log == ["load first"]


async def test_a_model_waits_for_the_memory_of_one_in_use(scene: Scene) -> None:
    events: list[dict[str, Any]] = []

    async def second(models: Models) -> str:
        async with models.lease("second", "chat", on_event=events.append, tenant=TENANT) as lease:
            return lease.model.name

    async with scene.models() as models:
        async with models.lease("first", "chat", tenant=TENANT):
            waiting = asyncio.create_task(second(models))
            await asyncio.sleep(0.01)
            assert events[-1]["models"] == ["first"]
        await models.unload("first")
        assert await asyncio.wait_for(waiting, BOUND_S) == "second"
        assert scene.fakes["reader"].log == ["load first", "unload first", "load second"]


async def test_waiting_for_a_lease_is_bounded(scene: Scene) -> None:
    async with scene.models() as models:
        async with models.lease("first", "chat", tenant=TENANT):
            with pytest.raises(TimedOut) as caught:
                async with models.lease("second", "chat", wait_s=0.01, tenant=TENANT):
                    pass
        assert caught.value.code == "lease_timed_out"
        assert [status.waiting for status in models.status()] == [0] * len(models.status())


async def test_what_can_never_fit_is_refused_at_once(scene: Scene) -> None:
    async with scene.models() as models:
        with pytest.raises(Unavailable) as caught:
            async with models.lease("huge", "chat", tenant=TENANT):
                pass
        assert (caught.value.code, caught.value.permanent) == ("insufficient_memory", True)


@pytest.mark.parametrize("ticks", range(8))
async def test_a_lease_cancelled_in_any_tick_around_its_grant_does_not_leak(
    scene: Scene, ticks: int
) -> None:
    async def use(models: Models) -> None:
        async with models.lease("vectors", "embed", tenant=TENANT):
            await asyncio.Event().wait()

    async with scene.models() as models:
        driver = scene.fakes["minilm"]
        driver.gate.clear()
        user = asyncio.create_task(use(models))
        await asyncio.wait_for(driver.loading.wait(), BOUND_S)
        driver.gate.set()
        for _ in range(ticks):
            await asyncio.sleep(0)
        user.cancel()
        await asyncio.wait([user], timeout=BOUND_S)
        assert user.cancelled()
        # keep_alive_s is 0: with no lease left it goes by itself.
        await asyncio.wait_for(driver.unloaded.wait(), BOUND_S)
        await asyncio.sleep(0)
        assert models.memory()[0].reserved_bytes == 0


async def test_many_cancelled_leases_leave_nothing(scene: Scene) -> None:
    async def use(models: Models, name: str) -> None:
        async with models.lease(name, "chat", tenant=TENANT) as lease:
            loaded = next(
                held for held in scene.fakes["reader"].loaded if held.capability is lease.capability
            )
            loaded.users += 1
            try:
                await asyncio.sleep(0)
            finally:
                loaded.users -= 1

    async with scene.models() as models:
        users = [
            asyncio.create_task(use(models, ("first", "second")[number % 2]))
            for number in range(100)
        ]
        for number, user in enumerate(users):
            await asyncio.sleep(0)
            if number % 3:
                user.cancel()
        with contextlib.suppress(NotFound):  # it may be gone for the other already
            await models.unload("first")
        await asyncio.wait(users, timeout=BOUND_S)
        failures = [user.exception() for user in users if not user.cancelled()]
        assert failures == [None] * len(failures)
        assert all(status.leases == status.waiting == 0 for status in models.status())


async def test_an_idle_model_is_unloaded_by_the_timer(scene: Scene) -> None:
    async with scene.models() as models:
        async with models.lease("vectors", "embed", tenant=TENANT):
            pass
        await asyncio.wait_for(scene.fakes["minilm"].unloaded.wait(), BOUND_S)


def test_a_timer_that_is_due_at_once_does_no_harm_on_the_loop_of_the_service(scene: Scene) -> None:
    async def brief() -> None:
        async with scene.models() as models:
            async with models.lease("brief", "chat", tenant=TENANT):
                pass
            models.pin("first")  # in the tick of the release: its timer has not rung yet

    uvloop.run(brief())


async def test_crashed_model_is_loaded_again_for_the_next_lease(scene: Scene) -> None:
    async with scene.models() as models:
        driver = scene.fakes["reader"]
        async with models.lease("first", "chat", tenant=TENANT):
            driver.loaded.pop().lost.set_result("its process was killed")
            await asyncio.sleep(0.01)
            async with models.lease("first", "chat", tenant=TENANT):
                pass
        assert driver.log == ["load first", "load first"]


async def test_closing_ends_loads_and_refuses_who_waits(scene: Scene) -> None:
    async def use(models: Models) -> None:
        async with models.lease("first", "chat", tenant=TENANT):
            pass

    async with scene.models() as models:
        driver = scene.fakes["reader"]
        driver.gate.clear()
        users = [asyncio.create_task(use(models)) for _ in range(3)]
        await asyncio.wait_for(driver.loading.wait(), BOUND_S)
    await asyncio.wait(users, timeout=BOUND_S)
    for user in users:
        error = user.exception()
        assert isinstance(error, Unavailable)
        assert error.code == "shutting_down"
    with pytest.raises(Unavailable, match="stopping"):
        async with models.lease("first", "chat", tenant=TENANT):
            pass


async def test_a_listener_that_fails_harms_no_one(scene: Scene) -> None:
    def listener(event: dict[str, Any]) -> None:
        if event["phase"] == "loading":
            raise ValueError("a bug in the listener")

    async with scene.models() as models:
        async with models.lease("first", "chat", on_event=listener, tenant=TENANT) as lease:
            assert lease.model.name == "first"


async def test_the_report_shows_models_roles_and_memory_as_json(scene: Scene) -> None:
    async with scene.models() as models:
        scene.fakes["ollama"].found = ["best"]
        scene.fakes["openai"].down = "no answer"
        async with models.lease("first", "chat", tenant=TENANT):
            by_name = {status.model.name: status.as_dict() for status in models.status()}
            assert by_name["first"]["state"] == "ready"
            assert (by_name["first"]["leases"], by_name["first"]["memory_bytes"]) == (1, 6)
            assert by_name["second"]["state"] == "absent"
            assert models.memory()[0].as_dict()["reserved_bytes"] == 6
        names = [status.model.name for status in await models.discover()]
        assert "ollama/best" in names
        roles = {role.role: role.as_dict() for role in await models.roles()}
        assert roles["chat"]["choice"]["model"] == "ollama/best"
        assert roles["embed"]["error"] is None
        scene.fakes["minilm"].down = "torch is missing"
        roles = {role.role: role.as_dict() for role in await models.roles()}
        assert "torch is missing" in roles["embed"]["error"]["message"]
