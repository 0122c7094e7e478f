"""Reading the memory of accelerators: fresh where it can be had, and never in the way."""

from __future__ import annotations

import importlib.util
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from models.devices import DeviceMemory
from models.devices.accelerator import Accelerator
from models.devices.detect import DetectedDevices
from models.devices.host import HostMemory
from models.devices.machine import KEEP_S, Machine, find_machine
from models.devices.readers import UNREADABLE, AmdReader, IntelReader, NvidiaReader
from models.devices.timeout_reader import TimeoutReader

DATA = Path(__file__).parents[2] / "data/devices"
GIB = 2**30
CARD = Accelerator("cuda:0", "nvidia", "A card", 8 * GIB, uuid="GPU-1")
BOUND_S = 120.0


class Driver:
    """Answers with `answer`, fails with it, or hangs while `gate` is closed."""

    def __init__(self) -> None:
        self.answer: Any = {"cuda:0": DeviceMemory(8 * GIB, 6 * GIB)}
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0
        self.answered = threading.Event()

    def read(self) -> Mapping[str, DeviceMemory]:
        self.asked += 1
        assert self.gate.wait(BOUND_S)
        self.answered.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: Mapping[str, DeviceMemory] = self.answer
        return answer


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def machine(driver: Driver, clock: Clock, read_s: float = BOUND_S) -> Machine:
    reader = TimeoutReader(driver, [CARD], read_s)
    return Machine(DetectedDevices((CARD,)), HostMemory(), [reader], clock)


def test_ram_and_every_device_are_read_and_kept_for_a_moment() -> None:
    driver, clock = Driver(), Clock()
    read = machine(driver, clock)
    assert read.read()["cuda:0"] == DeviceMemory(8 * GIB, 6 * GIB)
    assert read.read()["ram"].available_bytes > 0
    assert driver.asked == 1
    clock.now_s += KEEP_S
    driver.answer = {"cuda:0": DeviceMemory(8 * GIB, 1 * GIB)}
    assert read.read()["cuda:0"].available_bytes == GIB
    assert driver.asked == 2


def test_a_driver_that_fails_leaves_the_last_reading_with_the_reason() -> None:
    driver, clock = Driver(), Clock()
    read = machine(driver, clock)
    read.read()
    driver.answer, clock.now_s = OSError("GPU is lost"), 1.0
    assert read.read()["cuda:0"] == DeviceMemory(8 * GIB, 6 * GIB, "its driver fails: GPU is lost")
    driver.answer, clock.now_s = {"cuda:0": DeviceMemory(8 * GIB, 5 * GIB)}, 2.0
    assert read.read()["cuda:0"] == DeviceMemory(8 * GIB, 5 * GIB)


def test_a_driver_that_hangs_is_waited_for_once() -> None:
    driver, clock = Driver(), Clock()
    reader = TimeoutReader(driver, [CARD], read_s=0.01)
    driver.gate.clear()
    for _ in range(20):
        memory = reader.read()["cuda:0"]
        assert (memory.available_bytes, "not answered" in memory.problem) == (0, True)
    assert driver.asked == 1
    driver.gate.set()
    assert driver.answered.wait(BOUND_S)
    # The thread that hung has the newest reading; it ends right after its answer.
    read = machine(driver, clock)
    assert read.read()["cuda:0"].problem == ""


def test_a_device_that_was_never_read_has_nothing_free() -> None:
    driver = Driver()
    driver.answer = OSError("no")
    assert machine(driver, Clock()).read()["cuda:0"].available_bytes == 0


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fake_nvml", DATA / "nvml/pynvml.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nvml_is_asked_by_the_gpus_own_name_and_opened_anew_after_a_failure(
    nvml: ModuleType,
) -> None:
    nvml.SCENE["gpus"] = [{"uuid": "GPU-0", "total": 4}, {"uuid": "GPU-1", "total": 8 * GIB}]
    reader = NvidiaReader([CARD], nvml)
    assert reader.read() == {"cuda:0": DeviceMemory(8 * GIB, 4 * GIB)}
    del nvml.SCENE["gpus"][1]["total"]
    with pytest.raises(nvml.NVMLError):
        reader.read()
    nvml.SCENE["gpus"] = [{"uuid": "GPU-1", "total": 6 * GIB}]  # the driver was reloaded
    assert reader.read() == {"cuda:0": DeviceMemory(6 * GIB, 3 * GIB)}


def test_amds_counters_are_read_anew_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    shutil.copytree(DATA / "amd/bus/pci/devices/0000:03:00.0", folder)
    reader = AmdReader({"cuda:0": folder})
    assert reader.read() == {"cuda:0": DeviceMemory(25753026560, 25753026560 - GIB)}
    (folder / "mem_info_vram_used").write_text("25753026560\n")
    assert reader.read()["cuda:0"].available_bytes == 0


def test_intels_counters_are_read_where_there_are_any() -> None:
    card = Accelerator("xpu:0", "intel", "Arc", 17079205888)
    folder = DATA / "intel/bus/pci/devices/0000:03:00.0"
    counted = IntelReader([card], {"xpu:0": folder}).read()["xpu:0"]
    assert counted == DeviceMemory(17079205888, 16106127360)
    assumed = IntelReader([card], {}).read()["xpu:0"]
    assert assumed == DeviceMemory(17079205888, 17079205888, UNREADABLE)


async def test_the_machine_that_runs_this_has_memory() -> None:
    found = await find_machine()
    read = found.read()
    assert read["ram"].total_bytes >= read["ram"].available_bytes > 0
    own = {each.name for each in found.accelerators if not each.unified}
    assert set(read) == {"ram"} | own
