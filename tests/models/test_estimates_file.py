"""What was measured is remembered over starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.file_writer import FileWriter
from models.estimates_file import load_estimates, save_estimates
from models.scheduling.memory_estimates import MemoryEstimates
from models.scheduling.requirement import MemoryRequirement
from tests.support.scheduling.harness import spec

MODEL = spec("model", 4)
ESTIMATE = MemoryRequirement({"cuda:0": 4, "ram": 1}, "cuda:0")
TAKEN = MemoryRequirement({"cuda:0": 7, "ram": 2}, "cuda:0")


async def save(file: Path, estimates: MemoryEstimates) -> None:
    writer = FileWriter(file)
    save_estimates(writer, estimates)
    await writer.close()


async def test_next_start_begins_with_what_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "needs.json"
    estimates = load_estimates(file)
    estimates.record(MODEL, TAKEN, 3.5)
    await save(file, estimates)

    restarted = load_estimates(file)

    assert restarted.refine(MODEL, [ESTIMATE]) == (TAKEN,)
    assert restarted.load_s(MODEL, ESTIMATE) == 3.5
    assert [each.name for each in tmp_path.iterdir()] == ["needs.json"]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}', '{"a": {"memory": {"ram": "much"}}}', "[]"])
async def test_broken_file_is_ignored_and_written_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "needs.json"
    file.write_text(text)

    estimates = load_estimates(file)
    before = estimates.refine(MODEL, [ESTIMATE])
    estimates.record(MODEL, TAKEN)
    await save(file, estimates)

    assert before == (ESTIMATE,)
    assert load_estimates(file).refine(MODEL, [ESTIMATE]) == (TAKEN,)


async def test_folder_that_cannot_be_written_loses_nothing_else(tmp_path: Path) -> None:
    estimates = MemoryEstimates()
    estimates.record(MODEL, TAKEN)

    await save(tmp_path / "missing" / "needs.json", estimates)

    assert estimates.refine(MODEL, [ESTIMATE]) == (TAKEN,)


async def test_small_changes_are_not_worth_saving(tmp_path: Path) -> None:
    estimates = MemoryEstimates()
    estimates.record(MODEL, MemoryRequirement({"ram": 1000}))
    await save(tmp_path / "needs.json", estimates)

    estimates.record(MODEL, MemoryRequirement({"ram": 1001}))
    small = estimates.changed
    estimates.record(MODEL, MemoryRequirement({"ram": 1100}))

    assert (small, estimates.changed) == (False, True)
