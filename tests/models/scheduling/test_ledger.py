"""The ledger's arithmetic."""

from __future__ import annotations

from models.devices import DeviceMemory
from models.scheduling.ledger import Ledger
from models.scheduling.requirement import MemoryRequirement

GB = 10**9


def test_free_is_the_smaller_of_what_is_measured_and_what_the_cap_leaves() -> None:
    ledger = Ledger({"ram": 8 * GB})
    assert ledger.balance("ram", DeviceMemory(16 * GB, 3 * GB)).free_bytes == 3 * GB
    assert ledger.balance("ram", DeviceMemory(16 * GB, 12 * GB)).free_bytes == 8 * GB


def test_memory_of_a_load_under_way_is_not_free_before_a_reading_shows_it() -> None:
    ledger = Ledger({"ram": 8 * GB})
    ledger.reserve("a", MemoryRequirement({"ram": 2 * GB}))
    assert ledger.balance("ram", DeviceMemory(16 * GB, 3 * GB)).free_bytes == 1 * GB
    ledger.confirm("a", None)
    assert ledger.balance("ram", DeviceMemory(16 * GB, 1 * GB)).free_bytes == 1 * GB


def test_a_measurement_replaces_the_estimate() -> None:
    ledger = Ledger({"ram": 8 * GB})
    ledger.reserve("a", MemoryRequirement({"ram": 2 * GB}))
    ledger.confirm("a", {"ram": 5 * GB})
    balance = ledger.balance("ram", DeviceMemory(16 * GB, 11 * GB))
    assert (balance.reserved_bytes, balance.free_bytes) == (5 * GB, 3 * GB)
    ledger.release("a")
    assert ledger.balance("ram", DeviceMemory(16 * GB, 16 * GB)).free_bytes == 8 * GB


def test_device_without_a_cap_is_capped_at_a_share_of_its_own_memory() -> None:
    ledger = Ledger({})
    ledger.reserve("a", MemoryRequirement({"cuda:0": 4 * GB}))
    assert ledger.balance("ram", DeviceMemory(10 * GB, 10 * GB)).free_bytes == int(8.5 * GB)
    assert ledger.balance("cuda:0", DeviceMemory(10 * GB, 10 * GB)).free_bytes == int(4.5 * GB)
    assert Ledger({"ram": 99 * GB}).balance("ram", DeviceMemory(GB, GB)).cap_bytes == GB


def test_free_is_never_negative() -> None:
    ledger = Ledger({"ram": 1 * GB})
    ledger.reserve("a", MemoryRequirement({"ram": 1 * GB}))
    ledger.confirm("a", {"ram": 3 * GB})
    assert ledger.balance("ram", DeviceMemory(16 * GB, 0)).free_bytes == 0


def test_two_names_for_the_same_memory_count_once() -> None:
    ledger = Ledger({"ram": 8 * GB})
    one = MemoryRequirement({"ram": 3 * GB}, share="blob")
    ledger.reserve("a", one)
    assert ledger.additional(MemoryRequirement({"ram": 4 * GB}, share="blob")) == {"ram": 1 * GB}
    assert ledger.additional(MemoryRequirement({"ram": 4 * GB}, share="other")) == {"ram": 4 * GB}
    ledger.confirm("a", None)
    ledger.reserve("b", MemoryRequirement({"ram": 4 * GB}, share="blob"))
    balance = ledger.balance("ram", DeviceMemory(16 * GB, 13 * GB))
    assert (balance.reserved_bytes, balance.free_bytes) == (4 * GB, 4 * GB)
    ledger.release("b")
    assert ledger.balance("ram", DeviceMemory(16 * GB, 13 * GB)).reserved_bytes == 3 * GB
    ledger.release("a")
    assert ledger.balance("ram", DeviceMemory(16 * GB, 16 * GB)).reserved_bytes == 0


def test_shared_memory_counts_once_on_each_device() -> None:
    ledger = Ledger({})
    ledger.reserve("a", MemoryRequirement({"cuda:0": GB}, "cuda:0", share="blob"))
    assert ledger.additional(MemoryRequirement({"cuda:1": GB}, "cuda:1", share="blob")) == {
        "cuda:1": GB
    }
