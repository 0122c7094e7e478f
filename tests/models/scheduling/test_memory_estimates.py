"""Measurements in place of estimates."""

from __future__ import annotations

from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.requirement import MemoryRequirement
from tests.support.scheduling.harness import spec

MODEL = spec("model", 4)
ESTIMATE = MemoryRequirement({"cuda:0": 4, "ram": 1}, "cuda:0")
TAKEN = MemoryRequirement({"cuda:0": 7, "ram": 2}, "cuda:0")


def test_measurement_counts_for_its_model_options_and_device_alone() -> None:
    estimates = MemoryEstimates()
    estimates.record(MODEL, TAKEN)
    on_cpu = MemoryRequirement({"ram": 4})
    assert estimates.refine(MODEL, [on_cpu]) == (on_cpu,)
    for other in (spec("other", 4), spec("model", 4, options={"num_ctx": 512}), spec("model", 5)):
        assert estimates.refine(other, [ESTIMATE]) == (ESTIMATE,)
    split = MemoryRequirement({"cuda:0": 2, "cuda:1": 2}, "cuda:0")
    assert estimates.refine(MODEL, [split]) == (split,)


def test_model_out_of_memory_is_given_more_but_never_more_than_there_is() -> None:
    estimates = MemoryEstimates()
    caps = {"cuda:0": 8, "ram": 100}
    assert estimates.raise_floor(MODEL, TAKEN, caps).memory == {"cuda:0": 8, "ram": 2}
    assert estimates.record(MODEL, TAKEN).memory["cuda:0"] == 8
    assert estimates.raise_floor(MODEL, MemoryRequirement({"ram": 100}), {"ram": 110}).memory == {
        "ram": 110
    }


def test_model_out_of_memory_again_and_again_is_given_at_most_twice_what_was_measured() -> None:
    estimates, need = MemoryEstimates(), MemoryRequirement({"ram": 100})
    estimates.record(MODEL, need)
    for _ in range(10):
        need = estimates.raise_floor(MODEL, need, {"ram": 1000})
    assert need.memory == {"ram": 200}
    assert estimates.refine(MODEL, [MemoryRequirement({"ram": 1})])[0].memory == {"ram": 200}
