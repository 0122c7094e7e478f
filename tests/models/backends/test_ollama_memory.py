"""What Ollama's models take, who shares it, and how its coming and going is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from config.errors import Busy, Unavailable
from config.settings import load_settings
from models.backends.ollama.driver import OllamaDriver
from models.backends.ollama.listing import RunningModel, details
from models.backends.ollama.loaded_models import wait_memory_stable
from models.backends.ollama.needs import RUNNER_BYTES, WORK_BYTES, measured, total_bytes
from models.capabilities import CaptionRequest
from models.catalog.spec import ModelSpec, Task
from models.devices.accelerator import Accelerator
from models.driver import DriverContext
from models.lease import ModelSource
from models.manager import open_models
from models.scheduling.requirement import MemoryRequirement
from tests.models.backends.contracts.caption import picture
from tests.support.ollama import Ollama
from tests.support.script import RUNNER_DIED, Failure, Gate, says
from tests.support.tenants import TENANT

BOUND_S = 120
GPU = Accelerator("cuda:0", "nvidia", "H100", 80_000_000_000)
SECOND = Accelerator("cuda:1", "nvidia", "H100", 80_000_000_000)
APPLE = Accelerator("mps", "apple", "M4", 32_000_000_000, unified=True)
INTEL = Accelerator("xpu:0", "intel", "B580", 12_000_000_000)


@asynccontextmanager
async def driver_for(
    url: str, home: Path, accelerators: Sequence[Accelerator] = (), **options: Any
) -> AsyncIterator[OllamaDriver]:
    settings = load_settings(home=home, ollama_url=url)
    driver = OllamaDriver(
        DriverContext(settings, options, cast(ModelSource, None), accelerators=accelerators)
    )
    try:
        yield driver
    finally:
        await driver.close()


@pytest.fixture
async def driver(ollama: Ollama, tmp_path: Path) -> AsyncIterator[OllamaDriver]:
    async with driver_for(ollama.url, tmp_path) as driver:
        yield driver


def spec(source: str, task: Task = "chat", device: str = "auto", **options: Any) -> ModelSpec:
    fields = {"name": source, "task": task, "backend": "ollama", "source": source}
    return ModelSpec.model_validate({**fields, "device": device, "options": options})


async def load(driver: OllamaDriver, spec: ModelSpec, need: MemoryRequirement | None = None) -> Any:
    return await driver.load(spec, need or MemoryRequirement(), lambda news: None)


# What it takes ----------------------------------------------------------------------------


async def test_the_estimate_counts_weights_and_the_context_that_will_be_used(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    traits: dict[str, Any] = {"heads": 32, "layers": 32, "embedding_length": 4096}
    ollama.add("known", size_bytes=4_000_000_000, context_length=131_072, **traits)
    for options, num_ctx in ({}, 8192), ({"num_ctx": 32_768}, 32_768):
        wanted = spec("known", **options)
        assert await driver.available(wanted) is None
        (need,) = driver.estimate(wanted)
        # Two tensors of 4096 half-precision numbers in each of 32 layers: 512 KiB a token.
        assert need.memory == {"ram": 4_200_000_000 + 524_288 * num_ctx + WORK_BYTES}


def test_a_shape_told_layer_by_layer_is_summed() -> None:
    info = {
        "general.architecture": "gemma4",
        "gemma4.attention.head_count": 8,
        "gemma4.attention.head_count_kv": [1, 2, 1, 2],
        "gemma4.embedding_length": 2048,
        "gemma4.attention.key_length": 256,
        "gemma4.attention.value_length": 256,
        "gemma4.block_count": 4,
    }
    assert details({"model_info": info}).token_bytes == 6 * 512 * 2
    assert details({"model_info": {}}).token_bytes == 0
    assert total_bytes(1000, 0, 8192) == 1200


def places(driver: OllamaDriver, wanted: ModelSpec) -> list[tuple[str, list[str]]]:
    return [(need.device, sorted(need.memory)) for need in driver.estimate(wanted)]


async def test_estimate_lists_each_gpu_all_gpus_and_the_cpu(ollama: Ollama, tmp_path: Path) -> None:
    ollama.add("tiny")
    cuda = [("cuda:0", ["cuda:0", "ram"]), ("cuda:1", ["cuda:1", "ram"])]
    spread, cpu = ("cuda:0", ["cuda:0", "cuda:1", "ram"]), ("cpu", ["ram"])
    async with driver_for(ollama.url, tmp_path, [GPU, SECOND]) as driver:
        await driver.available(spec("tiny"))
        assert places(driver, spec("tiny")) == [*cuda, spread, cpu]
        assert places(driver, spec("tiny", device="cuda:1")) == [cuda[1], cpu]
        assert places(driver, spec("tiny", device="cpu")) == [cpu]
        assert places(driver, spec("tiny", num_gpu=0)) == [cpu]
    async with driver_for(ollama.url, tmp_path, [APPLE]) as driver:
        await driver.available(spec("tiny"))
        assert places(driver, spec("tiny"))[0][0] == "mps"
    async with driver_for(ollama.url, tmp_path, [INTEL]) as driver:
        await driver.available(spec("tiny"))
        assert places(driver, spec("tiny")) == [cpu]


async def test_model_without_fallback_gets_no_cpu_placement(ollama: Ollama, tmp_path: Path) -> None:
    ollama.add("tiny")
    async with driver_for(ollama.url, tmp_path, [GPU]) as driver:
        wanted = spec("tiny").model_copy(update={"cpu_fallback": False})
        assert [need.device for need in driver.estimate(wanted)] == ["cuda:0"]


async def test_on_the_cpu_beside_a_gpu_ollama_is_told_to_stay_off_it(
    ollama: Ollama, tmp_path: Path
) -> None:
    ollama.add("tiny", vram_bytes=0)
    async with driver_for(ollama.url, tmp_path, [GPU]) as driver:
        await driver.available(spec("tiny"))
        on_gpu, on_cpu = driver.estimate(spec("tiny"))
        model = await load(driver, spec("tiny"), on_cpu)
        assert ollama.asked("/api/generate")[-1]["options"]["num_gpu"] == 0
        await model.capability.ainvoke("hi")
        assert ollama.asked("/api/chat")[-1]["options"]["num_gpu"] == 0
        await model.unload()
        model = await load(driver, spec("tiny"), on_gpu)
        assert "num_gpu" not in ollama.asked("/api/generate")[-1]["options"]
        await model.unload()


def test_what_is_measured_is_put_where_it_was_placed() -> None:
    held = RunningModel("tiny", 10, 6)
    assert measured(held, MemoryRequirement({"cuda:0": 9, "ram": RUNNER_BYTES}, "cuda:0")) == {
        "ram": 4,
        "cuda:0": 6,
    }
    both = MemoryRequirement({"cuda:0": 5, "cuda:1": 5, "ram": 1}, "cuda:0")
    assert measured(held, both) == {"ram": 4, "cuda:0": 3, "cuda:1": 3}
    assert measured(held, MemoryRequirement({"ram": 9}, "cpu")) == {"ram": 4}
    assert measured(held, MemoryRequirement({"ram": 9}, "mps")) == {"ram": 10}


async def test_remote_server_takes_no_memory_here(ollama: Ollama, tmp_path: Path) -> None:
    async with driver_for("http://gpu-box:11434", tmp_path, [GPU]) as driver:
        assert list(driver.estimate(spec("tiny"))) == [MemoryRequirement()]


# Weights under two names ------------------------------------------------------------------


async def test_two_names_of_the_same_weights_share_a_need_and_a_runner(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("one", "One.", weights="w")
    ollama.add("two", "Two.", weights="w")
    ollama.add("other")
    keys = {}
    for name in ("one", "two", "other"):
        await driver.available(spec(name))
        keys[name] = driver.estimate(spec(name))[0].share
    assert keys["one"] == keys["two"] != keys["other"]
    first, second = await load(driver, spec("one")), await load(driver, spec("two"))
    assert ollama.loaded == ["one:latest"]
    assert second.memory == first.memory
    await first.unload()
    assert ollama.loaded == ["one:latest"]
    assert (await second.capability.ainvoke("hi")).text == "Two."
    await second.unload()
    assert ollama.loaded == []


async def test_a_second_name_is_placed_where_the_weights_are(
    ollama: Ollama, tmp_path: Path
) -> None:
    ollama.add("one", weights="w")
    ollama.add("two", weights="w")
    async with driver_for(ollama.url, tmp_path, [GPU]) as driver:
        await driver.available(spec("one"))
        await driver.available(spec("two"))
        model = await load(driver, spec("one"), driver.estimate(spec("one"))[1])
        assert places(driver, spec("two")) == [("cpu", ["ram"])]
        await model.unload()
        assert places(driver, spec("two"))[0][0] == "cuda:0"


async def test_names_of_one_model_share_the_longest_context_without_a_second_load(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("one", weights="w")
    ollama.add("two", weights="w")
    first = await load(driver, spec("one", num_ctx=512))
    second = await load(driver, spec("two", num_ctx=2048))
    third = await load(driver, spec("one", "chat", num_ctx=256))
    for model in (first, second, first, third):
        await model.capability.ainvoke("hi")
    asked = [body["options"]["num_ctx"] for body in ollama.asked("/api/chat")]
    assert asked == [2048] * 4
    assert first.capability.profile["max_input_tokens"] == 2048
    loads = [body["options"]["num_ctx"] for body in ollama.asked("/api/generate")]
    assert loads == [512, 2048, 2048]
    for model in (first, second, third):
        await model.unload()
    assert ollama.loaded == []


async def test_one_model_for_two_tasks_is_held_once(ollama: Ollama, driver: OllamaDriver) -> None:
    ollama.add("both", "A circle.", capabilities=("completion", "vision"))
    chat, seer = await load(driver, spec("both")), await load(driver, spec("both", "caption"))
    await chat.unload()
    request = CaptionRequest([picture()])
    assert "".join([piece async for piece in seer.capability.caption(request)]) == "A circle."
    assert ollama.loaded == ["both:latest"]
    await seer.unload()
    assert ollama.loaded == []


async def test_the_ledger_counts_weights_of_two_names_once(ollama: Ollama, tmp_path: Path) -> None:
    ollama.add("one", weights="w", memory_bytes=80_000_000)
    ollama.add("two", weights="w", memory_bytes=80_000_000)
    async with open_models(load_settings(home=tmp_path, ollama_url=ollama.url)) as models:
        async with models.lease("ollama/one", "chat", tenant=TENANT):
            async with models.lease("ollama/two", "chat", tenant=TENANT):
                (ram,) = [each for each in models.memory() if each.device == "ram"]
                assert ram.reserved_bytes == 80_000_000


# Coming and going -------------------------------------------------------------------------


async def test_a_server_that_ends_while_nobody_asks_is_noticed_at_once(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny")
    model = await load(driver, spec("tiny"))
    await asyncio.to_thread(ollama.stop)
    assert "does not answer" in await asyncio.wait_for(model.lost, BOUND_S)


async def test_a_server_started_anew_holds_nothing_and_that_is_noticed(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny")
    model = await load(driver, spec("tiny"))

    def again() -> None:
        ollama.stop()
        ollama.start()

    await asyncio.to_thread(again)
    assert await asyncio.wait_for(model.lost, BOUND_S)
    model = await load(driver, spec("tiny"))
    assert (await model.capability.ainvoke("hi")).text
    await model.unload()


async def test_a_runner_that_dies_is_lost_though_ollama_still_lists_it(
    ollama: Ollama, tmp_path: Path
) -> None:
    ollama.add("tiny", says(["one", RUNNER_DIED], "Back."))
    async with open_models(load_settings(home=tmp_path, ollama_url=ollama.url)) as models:
        async with models.lease("ollama/tiny", "chat", tenant=TENANT) as lease:
            with pytest.raises(Unavailable) as caught:
                await lease.chat.ainvoke("hi")
            assert caught.value.code == "worker_died"
        assert ollama.loaded == ["tiny:latest"]  # stale
        async with models.lease("ollama/tiny", "chat", tenant=TENANT) as lease:
            assert (await lease.chat.ainvoke("hi")).text == "Back."
        assert len(ollama.asked("/api/generate")) == 2
    assert ollama.loaded == []


async def test_a_queue_that_is_full_is_waited_for_while_loading(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    full = Failure("server busy, please try again.  maximum pending requests exceeded", 503)
    card = ollama.add("tiny", loading=full)
    loading = asyncio.create_task(load(driver, spec("tiny")))
    async with asyncio.timeout(BOUND_S):
        while len(ollama.asked("/api/generate")) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    card.loading = None
    await (await loading).unload()


async def test_a_queue_that_stays_full_is_busy_with_a_time_to_come_back(
    ollama: Ollama, driver: OllamaDriver
) -> None:
    ollama.add("tiny", loading=Failure("server busy, please try again", 503))
    with pytest.raises(Busy) as caught:
        await load(driver, spec("tiny", load_timeout_s=0.1))
    assert caught.value.retry_after_s


@pytest.mark.parametrize(
    "text",
    ["CUDA error: out of memory", "model requires more system memory (9 GiB) than is available"],
)
async def test_no_room_is_told_as_out_of_memory(
    ollama: Ollama, driver: OllamaDriver, text: str
) -> None:
    ollama.add("tiny", loading=Failure(text, 500))
    with pytest.raises(Unavailable) as caught:
        await load(driver, spec("tiny"))
    assert caught.value.code == "out_of_memory"


async def test_an_unload_while_it_streams_cuts_nothing(
    ollama: Ollama, driver: OllamaDriver, gate: Gate
) -> None:
    ollama.add("tiny", lambda turn: ["one", gate, " two"])
    model = await load(driver, spec("tiny"))
    answer = asyncio.create_task(model.capability.ainvoke("hi"))
    await gate.reached.wait()
    unloading = asyncio.create_task(driver._api.unload("tiny"))
    await unloading
    assert ollama.loaded == ["tiny:latest"]
    gate.open()
    assert (await answer).text == "one two"
    await model.unload()
    assert ollama.loaded == []


async def test_two_who_load_the_same_weights_at_once_load_them_once(
    ollama: Ollama, driver: OllamaDriver, gate: Gate
) -> None:
    ollama.add("one", weights="w", loading=gate)
    ollama.add("two", weights="w", loading=gate)
    loads = [asyncio.create_task(load(driver, spec(name))) for name in ("one", "two")]
    await gate.reached.wait()
    gate.open()
    models = await asyncio.gather(*loads)
    assert len(ollama.loaded) == 1
    for model in models:
        await model.unload()
    assert ollama.loaded == []


async def test_fifty_first_requests_make_one_load(ollama: Ollama, tmp_path: Path) -> None:
    ollama.add("tiny", "Yes.")
    async with open_models(load_settings(home=tmp_path, ollama_url=ollama.url)) as models:

        async def ask() -> str:
            async with models.lease("ollama/tiny", "chat", tenant=TENANT) as lease:
                return (await lease.chat.ainvoke("hi")).text

        assert await asyncio.gather(*(ask() for _ in range(50))) == ["Yes."] * 50
    assert len([body for body in ollama.asked("/api/generate") if body["keep_alive"]]) == 1


def rising(*readings: int) -> Callable[[], Mapping[str, int]]:
    left = list(readings)
    return lambda: {"cuda:0": left.pop(0) if len(left) > 1 else left[0]}


async def test_memory_is_waited_for_until_it_rises_no_more() -> None:
    assert (await wait_memory_stable(rising(0, 40, 90, 100, 100), {"cuda:0": 100}))["cuda:0"] == 100
    assert (await wait_memory_stable(rising(7), {}))["cuda:0"] == 7
    assert (await wait_memory_stable(dict, {"cuda:0": 100})) == {}
