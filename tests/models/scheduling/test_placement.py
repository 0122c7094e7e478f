"""Where a model could run, the preferred place first."""

from __future__ import annotations

import pytest

from config.errors import Unavailable
from models.catalog.spec import ModelSpec
from models.devices.accelerator import Accelerator
from models.scheduling.placement import list_placements

LARGE = Accelerator("cuda:1", "nvidia", "Large", 24)
SMALL = Accelerator("cuda:0", "nvidia", "Small", 8)
MAC = Accelerator("mps", "apple", "M4", 32, unified=True)
UNUSABLE = Accelerator("cuda:0", "nvidia", "Any", 24, problem="PyTorch is built for the CPU")


def places(accelerators: list[Accelerator], **fields: object) -> list[tuple[str, dict[str, int]]]:
    spec = ModelSpec(name="m", task="chat", backend="transformers", **fields)  # type: ignore[arg-type]
    found = list_placements(spec, accelerators, device_bytes=10, host_bytes=2, cpu_bytes=11)
    return [(need.device, dict(need.memory)) for need in found]


ON_CPU = ("cpu", {"ram": 11})
ON_LARGE = ("cuda:1", {"cuda:1": 10, "ram": 2})
ON_SMALL = ("cuda:0", {"cuda:0": 10, "ram": 2})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [ON_LARGE, ON_SMALL, ON_CPU]),
        ({"cpu_fallback": False}, [ON_LARGE, ON_SMALL]),
        ({"device": "cpu"}, [ON_CPU]),
        ({"device": "cuda"}, [ON_LARGE, ON_SMALL, ON_CPU]),
        ({"device": "cuda:0", "cpu_fallback": False}, [ON_SMALL]),
        ({"device": "xpu"}, [ON_CPU]),
    ],
)
def test_accelerators_come_first_and_a_named_device_alone(
    fields: dict[str, object], expected: list[tuple[str, dict[str, int]]]
) -> None:
    assert places([LARGE, SMALL], **fields) == expected


def test_on_a_device_that_shares_the_memory_all_of_it_is_ram() -> None:
    assert places([MAC]) == [("mps", {"ram": 12}), ON_CPU]


def test_without_an_accelerator_that_pytorch_can_use_the_cpu_is_left() -> None:
    assert places([]) == [ON_CPU]
    assert places([UNUSABLE]) == [ON_CPU]


@pytest.mark.parametrize(
    ("accelerators", "fields", "said"),
    [
        ([], {}, "there is no GPU"),
        ([UNUSABLE], {}, "PyTorch is built for the CPU"),
        ([LARGE], {"device": "cuda:7"}, "'cuda:7' alone"),
    ],
)
def test_model_without_cpu_fallback_or_usable_device_is_refused_with_the_reason(
    accelerators: list[Accelerator], fields: dict[str, object], said: str
) -> None:
    with pytest.raises(Unavailable, match=said) as caught:
        places(accelerators, cpu_fallback=False, **fields)
    assert caught.value.code == "device_missing"
