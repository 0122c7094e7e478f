"""What is told of a machine with GPUs, good ones and useless ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from config.settings import load_settings
from models.catalog.file import load_models
from models.devices import DeviceMemory
from models.devices.accelerator import Accelerator
from models.devices.detect import DetectedDevices
from models.devices.host import HostMemory
from models.devices.machine import Machine
from models.devices.timeout_reader import TimeoutReader
from models.manager import open_models
from server.cli.model_tables import print_profile, profile_yaml
from server.machine_profile import machine_profile

GIB = 2**30
CARD = Accelerator("cuda:0", "nvidia", "NVIDIA RTX 4090", 24 * GIB, driver="580.65", uuid="GPU-1")
USELESS = Accelerator(
    "amd:0", "amd", "Radeon", 8 * GIB, problem="PyTorch 2.13.0 is not built for amd GPUs"
)


class Half:
    """A driver that says that half of everything is free, or fails."""

    def __init__(self, *accelerators: Accelerator, error: str = "") -> None:
        self._accelerators, self._error = accelerators, error

    def read(self) -> Mapping[str, DeviceMemory]:
        if self._error:
            raise OSError(self._error)
        return {
            each.name: DeviceMemory(each.total_bytes, each.total_bytes // 2)
            for each in self._accelerators
        }


def machine(*accelerators: Accelerator, error: str = "", problems: tuple[str, ...] = ()) -> Machine:
    reader = TimeoutReader(Half(*accelerators, error=error), accelerators)
    return Machine(DetectedDevices(accelerators, problems), HostMemory(), [reader])


async def told(machine: Machine, home: Path) -> dict[str, Any]:
    settings = load_settings(home=home)
    async with open_models(settings, devices=machine) as models:
        return await machine_profile(machine, models)


def printed(profile: dict[str, Any]) -> str:
    console = Console(width=200, no_color=True, markup=False, highlight=False)
    with console.capture() as captured:
        print_profile(profile, console)
    return captured.get()


async def test_profile_of_a_usable_gpu_names_its_driver_and_recommends_its_models(
    tmp_path: Path,
) -> None:
    profile = await told(machine(CARD), tmp_path)
    [_, card] = profile["devices"]
    assert card == {
        "device": "cuda:0",
        "vendor": "nvidia",
        "model": "NVIDIA RTX 4090",
        "driver": "580.65",
        "uuid": "GPU-1",
        "total_bytes": 24 * GIB,
        "free_bytes": 12 * GIB,
        "unified": False,
        "problem": None,
    }
    assert profile["profile"]["name"] == "gpu-24"
    text = printed(profile)
    assert "cuda:0: NVIDIA RTX 4090, 12.9 GB free of 25.8 GB, driver 580.65" in text
    assert "motet models add ollama-qwen3-14b" in text


async def test_profile_names_the_problem_of_an_unusable_gpu_and_of_a_missing_driver(
    tmp_path: Path,
) -> None:
    profile = await told(machine(USELESS, problems=("nvidia: its driver is missing",)), tmp_path)
    by_role = {each["role"]: each for each in profile["recommended"]}
    assert (by_role["chat"]["device"], by_role["image"]["device"]) == ("amd:0", "cpu")
    text = printed(profile)
    assert "not built for amd GPUs" in text
    assert "its driver is missing" in text


async def test_profile_reports_a_driver_that_fails(tmp_path: Path) -> None:
    profile = await told(machine(CARD, error="GPU is lost"), tmp_path)
    assert profile["devices"][1]["problem"] == "its driver fails: GPU is lost"


async def test_profile_tells_no_paths_and_no_internal_addresses(tmp_path: Path) -> None:
    problems = ("nvidia: /usr/lib/x86_64/libcuda.so.1: cannot open shared object file",)
    found = machine(CARD, error="no answer of http://127.0.0.1:9/x", problems=problems)
    profile = await told(found, tmp_path)
    assert profile["problems"] == ["nvidia: libcuda.so.1: cannot open shared object file"]
    assert profile["devices"][1]["problem"] == "its driver fails: no answer of an internal address"
    assert "127.0.0.1" not in str(profile)


async def test_the_profile_becomes_a_models_yaml(tmp_path: Path) -> None:
    profile = await told(machine(CARD), tmp_path)
    (tmp_path / "models.yaml").write_text(profile_yaml(profile))
    file = load_models(load_settings(home=tmp_path))
    roles = file.roles
    assert file.models["ollama-qwen3-14b"].source == "qwen3:14b"
    assert roles["chat"] == [
        "ollama-qwen3-14b", "llamacpp/*", "ollama/*", "openai/*", "reader",
    ]  # fmt: skip
    assert roles["embed"] == ["qwen3-embedding", "minilm"]


async def test_without_a_gpu_it_says_that_the_cpu_computes(tmp_path: Path) -> None:
    text = printed(await told(machine(), tmp_path))
    assert "no GPU was found" in text
