"""An Ollama server that is down, dies, comes back, forgets, is full or is shared: one ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from config.errors import Unavailable
from models.backends.ollama import driver
from models.capabilities import CaptionRequest
from models.lease import Lease
from tests.models.backends.contracts.caption import picture
from tests.models.scenarios.conftest import Open
from tests.support.ollama import Ollama
from tests.support.scenarios.machine import MB
from tests.support.scenarios.stage import BOUND_S, Stage, mb
from tests.support.script import RUNNER_DIED, Failure, Gate, says
from tests.support.tenants import TENANT

ROLES = {"chat": ["ollama/*", "fallback"]}
PICTURE = CaptionRequest([picture()])
NO_MEMORY = Failure("model requires more system memory (9.0 GiB) than is available (1.0 GiB)")
TINY, FALLBACK = "ollama/tiny", "fallback"


@pytest.fixture(autouse=True)
def ask_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ollama has is asked each time, not every few seconds."""
    monkeypatch.setattr(driver, "PROBE_KEEP_S", 0.0)


class Loads(Gate):
    """An open gate that counts who loads."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def passed(self) -> None:
        self.count += 1


def entry(source: str, **options: Any) -> dict[str, Any]:
    return {"task": "chat", "backend": "ollama", "source": source, "options": options}


async def ask(on: Stage, name: str, tell: Callable[[dict[str, Any]], None] | None = None) -> str:
    async with on.models.lease(name, "chat", wait_s=BOUND_S, on_event=tell, tenant=TENANT) as lease:
        return str((await lease.chat.ainvoke("hi")).text)


async def chosen(on: Stage) -> str:
    async with on.models.lease("chat", "chat", wait_s=BOUND_S, tenant=TENANT) as lease:
        return lease.model.name


async def heard(lease: Lease, words: list[str]) -> None:
    """Listen to an answer, noting each piece."""
    async with aclosing(lease.chat.astream("hi")) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            words.append(piece.text)


async def test_ollama_that_is_down_at_the_start_is_used_when_it_comes(
    stage: Open, ollama: Ollama
) -> None:
    ollama.add("tiny")
    await asyncio.to_thread(ollama.stop)
    async with stage({FALLBACK: mb(20)}, roles=ROLES, ollama_url=ollama.url) as on:
        assert await chosen(on) == FALLBACK
        with pytest.raises(Unavailable, match="ollama serve") as caught:
            await ask(on, "ollama/other")
        assert caught.value.code == "ollama_unreachable"
        ollama.start()
        assert await chosen(on) == TINY
        assert await ask(on, TINY) == "Hello there, friend."


async def test_ollama_that_dies_in_mid_stream_is_replaced_and_taken_again_when_it_is_back(
    stage: Open, ollama: Ollama, gate: Gate
) -> None:
    ollama.add("tiny", says(["one", gate, " two"], "again"))
    async with stage({FALLBACK: mb(20)}, roles=ROLES, ollama_url=ollama.url) as on:
        async with on.models.lease("chat", "chat", tenant=TENANT) as lease:
            words: list[str] = []
            listening = asyncio.create_task(heard(lease, words))
            await gate.reached.wait()
            await asyncio.to_thread(ollama.stop)
            with pytest.raises(Unavailable) as caught:
                await listening
            assert (caught.value.code, words) == ("model_connection_lost", ["one"])
        await on.until("crashed", TINY)
        assert on.reserved_mb == 0
        assert await chosen(on) == FALLBACK
        ollama.start()
        assert await chosen(on) == TINY
        assert await ask(on, TINY) == "again"


async def test_ollama_that_dies_while_it_loads_is_passed_over(
    stage: Open, ollama: Ollama, gate: Gate
) -> None:
    ollama.add("tiny", loading=gate)
    async with stage({FALLBACK: mb(20)}, roles=ROLES, ollama_url=ollama.url) as on:
        choosing = asyncio.create_task(chosen(on))
        await gate.reached.wait()
        await asyncio.to_thread(ollama.stop)
        assert await asyncio.wait_for(choosing, BOUND_S) == FALLBACK
        assert (await on.until("load_failed", TINY))["error"]["family"] == "unavailable"


async def test_ollama_restarted_during_a_load_fails_no_run_that_waits(
    stage: Open, ollama: Ollama, gate: Gate
) -> None:
    card = ollama.add("tiny", loading=gate)
    async with stage({}, ollama_url=ollama.url) as on:
        waiting = [asyncio.create_task(ask(on, TINY)) for _ in range(8)]
        await gate.reached.wait()
        await asyncio.to_thread(ollama.stop)
        card.loading = None
        await asyncio.to_thread(ollama.start)

        assert await asyncio.wait_for(asyncio.gather(*waiting), BOUND_S)


async def test_runner_that_dies_while_it_loads_is_started_again_for_who_waits(
    stage: Open, ollama: Ollama
) -> None:
    card = ollama.add("tiny", loading=Failure("llama runner process has terminated: killed"))
    async with stage({}, ollama_url=ollama.url) as on:
        waiting = [asyncio.create_task(ask(on, TINY)) for _ in range(8)]
        while not ollama.asked("/api/generate"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        card.loading = None

        assert await asyncio.wait_for(asyncio.gather(*waiting), BOUND_S)
        assert (await on.until("load_interrupted", TINY))["error"]["code"] == "worker_died"


async def test_ollama_that_ends_while_idle_is_noticed_without_asking(
    stage: Open, ollama: Ollama
) -> None:
    ollama.add("tiny")
    async with stage({}, ollama_url=ollama.url) as on:
        await ask(on, TINY)
        assert on.reserved_mb == 80
        await asyncio.to_thread(ollama.stop)
        await on.until("crashed", TINY)
        assert on.reserved_mb == 0


async def test_a_crashed_runner_that_ollama_still_lists_is_loaded_anew(
    stage: Open, ollama: Ollama
) -> None:
    loads = Loads()
    ollama.add("tiny", says(["one", RUNNER_DIED], "again"), loading=loads)
    async with stage({}, ollama_url=ollama.url) as on:
        with pytest.raises(Unavailable) as caught:
            await ask(on, TINY)
        assert caught.value.code == "worker_died"
        await on.until("crashed", TINY)
        assert ollama.loaded == ["tiny:latest"]  # as it says
        assert on.reserved_mb == 0
        assert await ask(on, TINY) == "again"
        assert (loads.count, on.reserved_mb) == (2, 80)
        await on.models.unload(TINY)
        assert ollama.loaded == []


async def test_news_of_a_crash_that_come_late_harm_no_new_load(
    stage: Open, ollama: Ollama, gate: Gate
) -> None:
    replies = says(["one", gate, RUNNER_DIED], RUNNER_DIED, "again")
    ollama.add("eye", replies, capabilities=("completion", "vision"))
    async with stage({"eye": {**entry("eye"), "task": "caption"}}, ollama_url=ollama.url) as on:
        async with on.models.lease("eye", "caption", tenant=TENANT) as lease:
            async with aclosing(lease.caption.caption(PICTURE)) as slow:
                assert await anext(slow) == "one"
                await gate.reached.wait()
                with pytest.raises(Unavailable):
                    await look(on)
                await on.until("crashed", "eye")
                gate.open()
                assert await look(on) == "again"
                with pytest.raises(Unavailable, match="unexpected EOF"):
                    await anext(slow)  # only now it looks at what came long ago
        assert await look(on) == "again"
        assert len(on.those("crashed")) == 1
        assert len(on.those("loading")) == 2


async def look(on: Stage) -> str:
    async with on.models.lease("eye", "caption", wait_s=BOUND_S, tenant=TENANT) as lease:
        return "".join([piece async for piece in lease.caption.caption(PICTURE)])


async def test_a_load_waits_while_the_queue_of_ollama_is_full(
    stage: Open, serve_ollama: Callable[..., Ollama]
) -> None:
    ollama = serve_ollama(max_loaded=1, max_queue=0)
    talks, loads = Gate(), Gate()
    ollama.add("theirs", lambda turn: ["one", talks])
    ollama.add("waiting", "hm", loading=loads)
    ollama.add("tiny", "mine")
    async with stage({}, ollama_url=ollama.url) as on:
        async with httpx.AsyncClient(base_url=ollama.url, timeout=BOUND_S) as strangers:
            prompt = {"prompt": "hi", "keep_alive": 0, "stream": False}
            busy = asyncio.create_task(
                strangers.post("/api/generate", json={"model": "theirs", **prompt})
            )
            await talks.reached.wait()
            queued = asyncio.create_task(
                strangers.post("/api/generate", json={"model": "waiting", **prompt})
            )
            mine = asyncio.create_task(ask(on, TINY))
            await loaded_so_often(ollama, "tiny", 2)  # refused, and asked again
            assert not mine.done()
            talks.open()
            loads.open()
            assert await asyncio.wait_for(mine, BOUND_S) == "mine"
            assert (await busy).is_success
            assert (await queued).is_success


async def loaded_so_often(ollama: Ollama, name: str, times: int) -> None:
    """The double tells nobody what it is asked, so it has to be looked at."""
    async with asyncio.timeout(BOUND_S):
        while sum(body["model"] == name for body in ollama.asked("/api/generate")) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_fifty_first_requests_at_once_make_one_load_in_ollama(
    stage: Open, ollama: Ollama
) -> None:
    loads = Loads()
    ollama.add("tiny", "yes", loading=loads)
    async with stage({}, ollama_url=ollama.url) as on:
        assert await asyncio.gather(*(ask(on, TINY) for _ in range(50))) == ["yes"] * 50
        assert (loads.count, len(ollama.asked("/api/generate"))) == (1, 1)


async def test_a_request_during_an_unload_that_a_stranger_holds_up_gets_a_new_load(
    stage: Open, ollama: Ollama, gate: Gate
) -> None:
    loads = Loads()
    ollama.add("tiny", says("mine", ["theirs", gate], "again"), loading=loads)
    async with stage({}, ollama_url=ollama.url) as on:
        assert await ask(on, TINY) == "mine"
        async with httpx.AsyncClient(base_url=ollama.url, timeout=BOUND_S) as stranger:
            body = {"model": "tiny", "prompt": "hi", "options": {"num_ctx": 8192}, "stream": False}
            theirs = asyncio.create_task(stranger.post("/api/generate", json=body))
            await gate.reached.wait()
            unloading = asyncio.create_task(on.models.unload(TINY))
            await on.until("unloading", TINY)
            told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            late = asyncio.create_task(ask(on, TINY, told.put_nowait))
            assert (await told.get())["phase"] == "chosen"
            assert (await told.get())["phase"] == "queued"
            assert on.state(TINY) == "stopping"  # it was told to go, and is there
            gate.open()
            await asyncio.wait_for(unloading, BOUND_S)
            assert (await theirs).json()["response"] == "theirs"
        assert await asyncio.wait_for(late, BOUND_S) == "again"
        assert loads.count == 2


async def test_a_load_that_ollama_has_no_memory_for_has_idle_models_make_room(
    stage: Open, ollama: Ollama
) -> None:
    card = ollama.add("tiny", "yes", loading=NO_MEMORY)
    async with stage({"idle": mb(20)}, ollama_url=ollama.url) as on:
        await on.say("idle", "hello")
        asking = asyncio.create_task(ask(on, TINY))
        assert (await on.until("unloading", "idle"))["reason"] == f"'{TINY}' ran out of memory"
        card.loading = None
        assert await asyncio.wait_for(asking, BOUND_S) == "yes"
        assert on.those("load_failed") == []


async def test_an_answer_that_ran_out_of_memory_in_ollama_is_asked_for_again_with_room(
    stage: Open, ollama: Ollama
) -> None:
    ollama.add("tiny", says([Failure("cudaMalloc failed: out of memory")], "yes"))
    async with stage({"idle": mb(20)}, ollama_url=ollama.url) as on:
        await on.say("idle", "hello")
        answers = []
        async for attempt in on.models.attempts(TINY, "chat", tenant=TENANT):
            async with attempt as lease:
                answers.append((await lease.chat.ainvoke("hi")).text)
        assert answers == ["yes"]
        assert (await on.until("out_of_memory", TINY))["phase"] == "running"
        assert on.order("loading", "crashed", "unloaded") == [
            "loading idle",
            f"loading {TINY}",
            f"crashed {TINY}",
            "unloaded idle",
            f"loading {TINY}",
        ]


async def test_two_names_of_the_same_weights_are_counted_once(stage: Open, ollama: Ollama) -> None:
    ollama.add("tiny", "as tiny", weights="same")
    ollama.add("copy", "as copy", weights="same")
    async with stage({"a": entry("tiny"), "b": entry("copy")}, ollama_url=ollama.url) as on:
        assert [await ask(on, "a"), await ask(on, "b")] == ["as tiny", "as copy"]
        assert (on.reserved_mb, len(ollama.loaded)) == (80, 1)
        await on.models.unload("a")
        assert (on.reserved_mb, len(ollama.loaded)) == (80, 1)
        assert await ask(on, "b") == "as copy"
        await on.models.unload("b")
        assert (on.reserved_mb, ollama.loaded) == (0, [])


async def test_two_contexts_of_the_same_weights_do_not_thrash(stage: Open, ollama: Ollama) -> None:
    loads = Loads()
    ollama.add("tiny", "yes", loading=loads)
    models = {"short": entry("tiny", num_ctx=1024), "long": entry("tiny", num_ctx=4096)}
    async with stage(models, ollama_url=ollama.url) as on:
        for _ in range(3):
            assert [await ask(on, "short"), await ask(on, "long")] == ["yes", "yes"]
        # Once for each of them, then the longer context serves both.
        assert loads.count == 2
        sizes = [body["options"]["num_ctx"] for body in ollama.asked("/api/chat")]
        assert sizes == [1024, *[4096] * 5]


async def test_a_client_that_leaves_frees_its_place_in_ollama(
    stage: Open, ollama: Ollama, gate: Gate
) -> None:
    ollama.add("tiny", says(["one", gate, " two"], "next"))
    async with stage(
        {"one_by_one": {**entry("tiny"), "concurrency": 1}}, ollama_url=ollama.url
    ) as on:

        async def listen() -> None:
            async with on.models.lease("one_by_one", "chat", tenant=TENANT) as lease:
                await heard(lease, [])

        client = asyncio.create_task(listen())
        await gate.reached.wait()
        next_one = asyncio.create_task(ask(on, "one_by_one"))
        client.cancel()
        await gate.abandoned.wait()
        assert await asyncio.wait_for(next_one, BOUND_S) == "next"


async def test_unloading_never_cuts_an_answer_of_ollama(
    stage: Open, ollama: Ollama, gate: Gate
) -> None:
    ollama.add("tiny", lambda turn: ["one", gate, " two"])
    async with stage({}, ollama_url=ollama.url) as on:
        async with on.models.lease(TINY, "chat", tenant=TENANT) as lease:
            words: list[str] = []
            listening = asyncio.create_task(heard(lease, words))
            await gate.reached.wait()
            unloading = asyncio.create_task(on.models.unload(TINY))
            await asyncio.sleep(0)
            assert on.state(TINY) == "draining"
            gate.open()
            await listening
        await asyncio.wait_for(unloading, BOUND_S)
        assert ("".join(words), ollama.loaded) == ("one two", [])


async def test_ollama_makes_room_for_a_worker_and_is_seen_to(stage: Open, ollama: Ollama) -> None:
    ollama.add("tiny", memory_bytes=300 * MB)
    async with stage({"worker": mb(110)}, ollama_url=ollama.url) as on:
        await ask(on, TINY)
        assert on.reserved_mb == 300
        async with on.models.lease("worker", "chat", tenant=TENANT):
            assert ollama.loaded == []
        assert on.order("unloaded", "loading")[1:] == [f"unloaded {TINY}", "loading worker"]
        # And the other way round: the worker is small enough to stay.
        assert await ask(on, TINY) == "Hello there, friend."
        assert on.order("unloaded") == [f"unloaded {TINY}", "unloaded worker"]
