"""Finding GPUs: the real child over recorded trees of /sys and a driver library of our own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from models.devices.detect import DetectedDevices, detect, may_have_accelerators
from models.devices.torch_build import TorchBuild

DATA = Path(__file__).parents[2] / "data/devices"
CUDA = TorchBuild("2.13.0+cu130", cuda="13.0")
ROCM = TorchBuild("2.13.0+rocm7.1", hip="7.1.25424")
CPU = TorchBuild("2.13.0+cpu")
GIB = 2**30


def gpu(name: str, uuid: str, gib: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "uuid": uuid, "total": gib * GIB, **more}


SMALL = gpu("NVIDIA GeForce RTX 3060", "GPU-aaaa-1", 12)
LARGE = gpu("NVIDIA RTX A6000", "GPU-bbbb-2", 48)
PARTS = [
    gpu("NVIDIA H100 MIG 3g.40gb", "MIG-c1", 40),
    gpu("NVIDIA H100 MIG 1g.10gb", "MIG-c2", 10),
]
DIVIDED = {"name": "NVIDIA H100", "uuid": "GPU-cccc-3", "parts": PARTS}


async def look(
    tree: str, torch: TorchBuild = CUDA, nvml: dict[str, Any] | None = None, **variables: str
) -> DetectedDevices:
    environment = {**os.environ, **variables}
    if nvml is not None:
        environment |= {"PYTHONPATH": str(DATA / "nvml"), "FAKE_NVML": json.dumps(nvml)}
    return await detect(DATA / tree, environment=environment, torch=torch)


def names(found: DetectedDevices) -> list[tuple[str, str]]:
    return [(each.name, each.model) for each in found.accelerators]


async def test_nvidias_are_counted_by_address_and_listed_by_size() -> None:
    found = await look("nvidia", nvml={"gpus": [SMALL, LARGE]})
    assert names(found) == [("cuda:1", "NVIDIA RTX A6000"), ("cuda:0", "NVIDIA GeForce RTX 3060")]
    assert found.problems == ()
    first = found.accelerators[0]
    assert (first.total_bytes, first.driver, first.uuid) == (48 * GIB, "580.65.06", "GPU-bbbb-2")
    assert (first.vendor, first.unified, first.problem) == ("nvidia", False, "")


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [("1", ["GPU-bbbb-2"]), ("1,0", ["GPU-bbbb-2", "GPU-aaaa-1"]), ("GPU-bb", ["GPU-bbbb-2"]),
     ("", []), ("-1", []), ("0,7,1", ["GPU-aaaa-1"])],
)  # fmt: skip
async def test_only_visible_devices_are_found_in_the_order_that_is_asked_for(
    wanted: str, seen: list[str]
) -> None:
    found = await look("nvidia", nvml={"gpus": [SMALL, LARGE]}, CUDA_VISIBLE_DEVICES=wanted)
    by_number = sorted(found.accelerators, key=lambda each: each.name)
    assert [each.uuid for each in by_number] == seen


async def test_a_divided_gpu_is_one_part_unless_others_are_named() -> None:
    assert names(await look("nvidia", nvml={"gpus": [DIVIDED]})) == [
        ("cuda:0", "NVIDIA H100 MIG 3g.40gb")
    ]
    named = await look("nvidia", nvml={"gpus": [DIVIDED]}, CUDA_VISIBLE_DEVICES="MIG-c2,MIG-c1")
    assert [(each.name, each.uuid) for each in named.accelerators] == [
        ("cuda:1", "MIG-c1"),
        ("cuda:0", "MIG-c2"),
    ]
    beside = await look("nvidia", nvml={"gpus": [DIVIDED, {**SMALL, "parts": []}]})
    assert [each.uuid for each in beside.accelerators] == ["GPU-aaaa-1"]


async def test_a_gpu_that_shares_the_machines_memory_says_so() -> None:
    found = await look("nvidia", nvml={"gpus": [{"name": "NVIDIA GB10", "uuid": "GPU-d"}]})
    assert [(each.unified, each.model) for each in found.accelerators] == [(True, "NVIDIA GB10")]


async def test_a_lost_gpu_hides_no_other() -> None:
    found = await look("nvidia", nvml={"gpus": [{"lost": True}, LARGE]})
    assert names(found) == [("cuda:0", "NVIDIA RTX A6000")]


async def test_torch_without_cuda_or_with_an_old_driver_cannot_use_the_gpu() -> None:
    [found] = (await look("nvidia", CPU, {"gpus": [LARGE]})).accelerators
    assert "2.13.0+cpu is not built for nvidia GPUs" in found.problem
    [found] = (await look("nvidia", CUDA, {"gpus": [LARGE], "cuda": 12080})).accelerators
    assert "speaks CUDA 12.8 at most" in found.problem
    assert "update the driver" in found.problem


@pytest.mark.parametrize(
    ("nvml", "said"),
    [({"error": "Driver Not Loaded"}, "not its driver (Driver Not Loaded)"),
     ({"error": "Driver Not Loaded"}, "--gpus all")],
)  # fmt: skip
async def test_gpu_without_its_driver_is_reported(nvml: dict[str, Any], said: str) -> None:
    found = await look("nvidia", nvml=nvml)
    assert found.accelerators == ()
    assert said in found.problems[0]


async def test_a_driver_without_a_gpu_on_the_bus_is_no_problem() -> None:
    assert await look("none", nvml={"error": "Driver Not Loaded"}) == DetectedDevices()


async def test_amds_are_counted_as_its_compute_driver_does() -> None:
    found = await look("amd", ROCM)
    assert names(found) == [("cuda:1", "Radeon RX 7900 XTX"), ("cuda:0", "AMD GPU 0x73bf")]
    assert found.accelerators[0].driver == "amdgpu, 6.10.5"
    assert found.accelerators[0].problem == ""
    assert found.folders["cuda:1"].name == "0000:03:00.0"


async def test_amds_variables_are_applied_one_after_the_other() -> None:
    found = await look("amd", ROCM, ROCR_VISIBLE_DEVICES="1,0", HIP_VISIBLE_DEVICES="0")
    assert names(found) == [("cuda:0", "Radeon RX 7900 XTX")]
    uuid = await look("amd", ROCM, ROCR_VISIBLE_DEVICES="GPU-7b2c4d9e01f3a865")
    assert names(uuid) == [("cuda:0", "AMD GPU 0x73bf")]


async def test_an_amd_without_its_driver_is_told() -> None:
    found = await look("amd-no-driver", ROCM)
    assert found.problems == ("amd: an AMD GPU is here, but its driver amdgpu is not loaded",)


async def test_of_two_vendors_the_one_that_torch_is_built_for_has_its_names() -> None:
    nvml = {"gpus": [LARGE]}
    seen = {each.name: each for each in (await look("amd", CUDA, nvml)).accelerators}
    assert sorted(seen) == ["amd:0", "amd:1", "cuda:0"]
    assert seen["cuda:0"].vendor == "nvidia"
    assert "not built for amd" in seen["amd:0"].problem
    seen = {each.name: each for each in (await look("amd", ROCM, nvml)).accelerators}
    assert sorted(seen) == ["cuda:0", "cuda:1", "nvidia:0"]


async def test_an_intel_card_is_found_and_a_processors_own_graphics_are_not() -> None:
    found = await look("intel", CPU)
    assert names(found) == [("xpu:0", "Intel GPU 0x56a0")]
    assert found.accelerators[0].total_bytes == 17079205888
    assert "not built for intel" in found.accelerators[0].problem


async def test_a_driver_that_hangs_hides_no_other_vendors_devices() -> None:
    environment = {**os.environ, "PYTHONPATH": str(DATA / "nvml"), "FAKE_NVML": '{"hangs": true}'}
    found = await detect(DATA / "amd", environment=environment, torch=ROCM, timeout_s=2.0)
    assert len(found.accelerators) == 2
    assert "a driver hangs" in found.problems[0]


async def test_a_driver_that_crashes_is_survived() -> None:
    found = await look("amd", ROCM, {"crashes": True})
    assert len(found.accelerators) == 2
    assert "ended early" in found.problems[0]


def test_a_look_is_worth_it_only_where_a_display_device_is() -> None:
    assert may_have_accelerators(DATA / "amd")
    assert may_have_accelerators(DATA / "intel")
    assert not may_have_accelerators(DATA / "none")
    assert not may_have_accelerators(DATA / "nowhere")
