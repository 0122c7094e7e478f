"""What the driver of transformers says of a model before it loads it."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid, Unavailable
from config.settings import load_settings
from models.backends.common.sources import folder_of, weights, why_missing
from models.backends.diffusers import files as pipelines
from models.backends.transformers.driver import TransformersDriver
from models.backends.transformers.needs import (
    CONSTRAINT_BYTES,
    CONSTRAINT_TOKEN_BYTES,
    CONTEXT_BYTES,
    LIBRARIES_BYTES,
)
from models.catalog.spec import ModelSpec
from models.devices.accelerator import Accelerator
from models.driver import Driver, DriverContext
from models.lease import ModelSource
from tests.support.tiny.models import opened, spec

LAYERS, WIDTH, NUMBERS = 4, 64, 1000 * 2000


def stored(folder: Path, **config: Any) -> Path:
    """A folder that looks like a model's; its weights are a header alone."""
    folder.mkdir(parents=True)
    shape = {"num_hidden_layers": LAYERS, "num_attention_heads": 4, "hidden_size": WIDTH}
    (folder / "config.json").write_text(json.dumps({**shape, **config}))
    header = json.dumps(
        {"a": {"dtype": "F16", "shape": [1000, 2000], "data_offsets": [0, 2 * NUMBERS]}}
    ).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 2 * NUMBERS)
    return folder


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Driver]:
    async with opened("transformers", tmp_path) as driver:
        yield driver


async def test_a_hub_name_that_was_not_pulled_says_how_to_pull_it(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    model = spec("transformers", "chat", "somebody/some-model")
    assert "motet models pull mine" in (await driver.available(model) or "")
    with pytest.raises(Unavailable, match="motet models pull mine") as caught:
        await driver.load(model, driver.estimate(model)[0], lambda news: None)
    assert caught.value.code == "model_missing"


async def test_a_pulled_model_is_found_in_the_hubs_cache(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "hub" / "models--somebody--some-model"
    snapshot = stored(home / "snapshots" / "abc")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert folder_of("somebody/some-model") == snapshot
    assert await driver.available(spec("transformers", "chat", "somebody/some-model")) is None


async def test_half_a_pull_is_no_model(driver: Driver, tmp_path: Path) -> None:
    folder = stored(tmp_path / "model")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    why = await driver.available(spec("transformers", "chat", folder))
    assert why
    assert "lacks model-2.safetensors" in why


@pytest.mark.parametrize(
    ("source", "what"),
    [("", "no `source`"), ("/nowhere/at/all", "no folder"), (".", "config.json")],
)
async def test_a_source_that_is_none_is_told(driver: Driver, source: str, what: str) -> None:
    assert what in (await driver.available(spec("transformers", "chat", source)) or "")


async def test_what_it_takes_is_counted_from_the_files(tmp_path: Path) -> None:
    gpu = Accelerator("cuda:0", "nvidia", "large", 80 * 10**9)
    context = DriverContext(load_settings(home=tmp_path), {}, cast_leases(), (gpu,))
    driver = TransformersDriver(context)
    folder = stored(tmp_path / "model", vocab_size=1000)
    assert weights(folder).numbers == NUMBERS
    model = spec("transformers", "chat", folder, context=1000, dtype="bfloat16", prompt_cache_mib=2)
    on_gpu, on_cpu = driver.estimate(model)
    remembered = 2 * LAYERS * WIDTH * 1000 * 2
    model_bytes = int(NUMBERS * 2 * 1.1) + remembered + 2 * 2**20
    process_bytes = LIBRARIES_BYTES + CONSTRAINT_BYTES + 1000 * CONSTRAINT_TOKEN_BYTES
    assert on_gpu.memory["cuda:0"] == model_bytes + CONTEXT_BYTES
    assert on_gpu.memory["ram"] == process_bytes
    assert on_cpu.memory == {"ram": model_bytes + process_bytes}
    fields = {**model.options, "quantization": "nf4"}
    small = driver.estimate(model.model_copy(update={"options": fields}))[0]
    assert small.memory["cuda:0"] < on_gpu.memory["cuda:0"]


async def test_prompts_of_a_small_model_take_no_more_than_their_number(
    driver: Driver, tmp_path: Path
) -> None:
    folder = stored(tmp_path / "model")
    remembered = 2 * LAYERS * WIDTH * 1000 * 4

    without, within = (
        driver.estimate(spec("transformers", "chat", folder, context=1000, prompt_cache_mib=most))
        for most in (0, 1000)
    )

    assert within[0].memory["ram"] - without[0].memory["ram"] == 16 * remembered


async def test_the_words_of_a_model_within_another_are_counted(
    driver: Driver, tmp_path: Path
) -> None:
    """Models that also look at pictures have what is said of their text in a part of its own."""
    shape = {"num_hidden_layers": LAYERS, "hidden_size": WIDTH, "vocab_size": 1000}
    plain = stored(tmp_path / "plain", **shape)
    within = stored(
        tmp_path / "within", num_hidden_layers=None, hidden_size=None, text_config=shape
    )

    need, other = (driver.estimate(spec("transformers", "chat", each)) for each in (plain, within))

    assert need == other


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
async def test_fewer_bits_without_their_library_are_refused_with_its_name(
    driver: Driver, tmp_path: Path
) -> None:
    model = spec("transformers", "chat", stored(tmp_path / "model"), quantization="nf4")
    assert "bitsandbytes" in (await driver.available(model) or "")
    with pytest.raises(Invalid, match="nf4 takes bitsandbytes") as caught:
        await driver.load(model, driver.estimate(model)[0], lambda news: None)
    assert caught.value.code == "quantization_unavailable"


async def test_a_wrong_option_is_told_with_the_nearest(driver: Driver, tmp_path: Path) -> None:
    model = spec("transformers", "caption", tmp_path, promt="What is it?")
    assert "Did you mean 'prompt'" in (await driver.available(model) or "")


async def test_it_speaks_for_its_own_tasks_alone(driver: Driver) -> None:
    assert driver.named("a/b", "image") is None
    named = driver.named("a/b", "caption")
    assert named
    assert named.name == "transformers/a/b"
    wrong = ModelSpec(name="mine", task="image", backend="transformers", source=".")
    assert "not for image" in (await driver.available(wrong) or "")


def cast_leases() -> ModelSource:
    return None  # type: ignore[return-value]


def test_weights_that_are_pickles_are_loaded_where_they_are_allowed_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")

    assert "allow_pickles" in str(why_missing("mine", str(tmp_path)))
    assert why_missing("mine", str(tmp_path), allow_pickles=True) is None
    (tmp_path / "model.safetensors").write_bytes(b"safe")
    assert why_missing("mine", str(tmp_path)) is None


def test_components_of_a_pipeline_that_are_pickles_are_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text("{}")
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickled")

    assert "allow_pickles" in str(pipelines.why_missing("mine", str(tmp_path)))
    assert pipelines.why_missing("mine", str(tmp_path), allow_pickles=True) is None
