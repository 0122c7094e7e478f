"""What a pipeline takes of memory, and what of it must wait beside the device."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from models.backends.diffusers.files import find_components, usual_side, variant, why_missing
from models.backends.diffusers.needs import needs, offload
from models.backends.diffusers.options import DiffusersOptions
from models.catalog.spec import ModelSpec
from models.devices import RAM
from models.devices.accelerator import Accelerator

GB = 10**9
UNET, TEXT, VAE = 2_600_000_000, 800_000_000, 80_000_000


def card(gigabytes: int, unified: bool = False) -> Accelerator:
    name, vendor = ("mps", "apple") if unified else ("cuda:0", "nvidia")
    return Accelerator(name, vendor, "a card", gigabytes * GB, unified)  # type: ignore[arg-type]


def weights(file: Path, numbers: int) -> None:
    """A safetensors file of which there is the header alone: nobody reads further."""
    header = json.dumps({"w": {"dtype": "F16", "shape": [numbers], "data_offsets": [0, 0]}})
    file.write_bytes(struct.pack("<Q", len(header)) + header.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As large as Stable Diffusion XL."""
    index = {
        "_class_name": "StableDiffusionXLPipeline",
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "feature_extractor": [None, None],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    configs: dict[str, dict[str, Any]] = {
        "text_encoder": {},
        "unet": {"sample_size": 128},
        "vae": {"block_out_channels": [128, 256, 512, 512]},
    }
    for (name, config), numbers in zip(configs.items(), (TEXT, UNET, VAE), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        weights(tmp_path / name / "model.fp16.safetensors", numbers)
    return tmp_path


def spec(folder: Path, **fields: Any) -> ModelSpec:
    return ModelSpec(name="xl", task="image", backend="diffusers", source=str(folder), **fields)


def test_the_parts_of_a_pipeline_are_found_by_its_index(folder: Path) -> None:
    assert {part.name: part.numbers for part in find_components(folder)} == {
        "text_encoder": TEXT,
        "unet": UNET,
        "vae": VAE,
    }
    assert usual_side(folder) == 1024
    assert variant(folder) == "fp16"
    assert why_missing("xl", str(folder)) is None


def test_weights_stored_twice_are_counted_once(folder: Path) -> None:
    weights(folder / "unet" / "model.safetensors", UNET)
    assert next(part for part in find_components(folder) if part.name == "unet").numbers == UNET


@pytest.mark.parametrize(("gigabytes", "chosen"), [(24, "none"), (10, "model"), (6, "sequential")])
def test_what_does_not_fit_a_device_waits_in_ram(folder: Path, gigabytes: int, chosen: str) -> None:
    cards, options = [card(gigabytes)], DiffusersOptions()
    on_card, on_cpu = needs(spec(folder), options, cards)
    assert offload(spec(folder), options, "cuda:0", cards) == chosen
    assert on_card.device == "cuda:0"
    assert on_card.memory["cuda:0"] < gigabytes * GB
    waits = on_card.memory[RAM] > 2 * (UNET + TEXT + VAE)
    assert waits == (chosen != "none")
    assert on_cpu.memory[RAM] > 4 * (UNET + TEXT + VAE)


def test_a_share_of_a_device_is_all_there_is(folder: Path) -> None:
    options = DiffusersOptions(memory_fraction=0.4)
    assert offload(spec(folder), options, "cuda:0", [card(24)]) == "model"


def test_fewer_bits_take_less(folder: Path) -> None:
    whole, eight, four = (
        needs(spec(folder), DiffusersOptions(quantization=kind), [card(48)])[0].memory["cuda:0"]
        for kind in ("none", "int8", "nf4")
    )
    assert four < eight < whole


def test_a_choice_of_ones_own_is_kept(folder: Path) -> None:
    options = DiffusersOptions(offload="sequential")
    assert offload(spec(folder), options, "cuda:0", [card(80)]) == "sequential"
    (on_card, _) = needs(spec(folder), options, [card(80)])
    assert on_card.memory["cuda:0"] < 5 * GB


def test_unified_memory_needs_no_waiting(folder: Path) -> None:
    machine = [card(16, unified=True)]
    assert offload(spec(folder), DiffusersOptions(), "mps", machine) == "none"
    assert set(needs(spec(folder), DiffusersOptions(), machine)[0].memory) == {RAM}


def test_a_need_that_was_declared_is_believed(folder: Path) -> None:
    declared = spec(folder, memory_bytes=3 * GB)
    found = needs(declared, DiffusersOptions(), [card(24)])
    assert found[0].memory["cuda:0"] == found[1].memory[RAM] == 3 * GB
