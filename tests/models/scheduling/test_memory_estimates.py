"""What was measured is remembered over starts."""

from __future__ import annotations

from pathlib import Path

from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.requirement import MemoryRequirement
from tests.support.scheduling.harness import spec

MODEL = spec("model", 4)
ESTIMATE = MemoryRequirement({"cuda:0": 4, "ram": 1}, "cuda:0")
TAKEN = MemoryRequirement({"cuda:0": 7, "ram": 2}, "cuda:0")


def test_the_next_start_begins_with_what_was_measured(tmp_path: Path) -> None:
    needs = MemoryEstimates(tmp_path / "needs.json")
    needs.measured(MODEL, TAKEN, 3.5)
    needs.save()
    again = MemoryEstimates(tmp_path / "needs.json")
    assert again.estimates(MODEL, [ESTIMATE]) == (TAKEN,)
    assert again.load_s(MODEL, ESTIMATE) == 3.5
    assert [file.name for file in tmp_path.iterdir()] == ["needs.json"]


def test_another_device_model_or_option_is_not_the_same(tmp_path: Path) -> None:
    needs = MemoryEstimates()
    needs.measured(MODEL, TAKEN)
    on_cpu = MemoryRequirement({"ram": 4})
    assert needs.estimates(MODEL, [on_cpu]) == (on_cpu,)
    for other in (spec("other", 4), spec("model", 4, options={"num_ctx": 512}), spec("model", 5)):
        assert needs.estimates(other, [ESTIMATE]) == (ESTIMATE,)
    split = MemoryRequirement({"cuda:0": 2, "cuda:1": 2}, "cuda:0")
    assert needs.estimates(MODEL, [split]) == (split,)


def test_what_ran_out_of_memory_is_given_more_but_never_more_than_there_is() -> None:
    needs = MemoryEstimates()
    caps = {"cuda:0": 8, "ram": 100}
    assert needs.ran_out(MODEL, TAKEN, caps).memory == {"cuda:0": 8, "ram": 2}
    assert needs.measured(MODEL, TAKEN).memory["cuda:0"] == 8
    assert needs.ran_out(MODEL, MemoryRequirement({"ram": 100}), {"ram": 110}).memory == {
        "ram": 110
    }


def test_running_out_again_and_again_raises_a_need_to_twice_what_was_measured() -> None:
    needs, need = MemoryEstimates(), MemoryRequirement({"ram": 100})
    needs.measured(MODEL, need)
    for _ in range(10):
        need = needs.ran_out(MODEL, need, {"ram": 1000})
    assert need.memory == {"ram": 200}
    assert needs.estimates(MODEL, [MemoryRequirement({"ram": 1})])[0].memory == {"ram": 200}


def test_a_broken_file_is_ignored_and_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "needs.json"
    for text in ("", "{", '{"a": 1}', '{"a": {"memory": {"ram": "much"}}}', "[]"):
        file.write_text(text)
        needs = MemoryEstimates(file)
        assert needs.estimates(MODEL, [ESTIMATE]) == (ESTIMATE,)
        needs.measured(MODEL, TAKEN)
        needs.save()
        assert MemoryEstimates(file).estimates(MODEL, [ESTIMATE]) == (TAKEN,)


def test_a_folder_that_cannot_be_written_loses_nothing_else(tmp_path: Path) -> None:
    needs = MemoryEstimates(tmp_path / "missing" / "needs.json")
    needs.measured(MODEL, TAKEN)
    needs.save()
    assert needs.estimates(MODEL, [ESTIMATE]) == (TAKEN,)


def test_small_changes_are_not_written_down(tmp_path: Path) -> None:
    needs = MemoryEstimates(tmp_path / "needs.json")
    needs.measured(MODEL, MemoryRequirement({"ram": 1000}))
    needs.save()
    needs.measured(MODEL, MemoryRequirement({"ram": 1001}))
    assert not needs.changed
    needs.measured(MODEL, MemoryRequirement({"ram": 1100}))
    assert needs.changed
