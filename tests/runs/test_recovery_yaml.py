"""Agents out of YAML whose process is killed: at every commit of their runs, and at chosen ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orjson import loads

from tests.support.ollama import Ollama
from tests.support.runs.cases import CASES, TOPIC
from tests.support.runs.disk import Disk
from tests.support.runs.processes import Deployment
from tests.support.runs.recording import LiveReader, RecordedRun, follow, log_of, record
from tests.support.runs.story import Story

MOMENTS = 8
"""Of the moments of a run at most so many are tried, spread over all of it."""
BEGUN_ANEW = {"stumble"}
"""Agents whose `retry` runs finished inner steps again: how often depends on the moment."""


@pytest.fixture
def world(ollama: Ollama) -> Iterator[Deployment]:
    return Deployment(ollama)


@pytest.mark.parametrize("pause_s", [0.0, 0.004], ids=["fast-disk", "slow-disk"])
@pytest.mark.parametrize("agent", CASES)
async def test_a_run_killed_at_any_commit_ends_as_if_it_had_not_been(
    world: Deployment, tmp_path: Path, agent: str, pause_s: float
) -> None:
    input, output = CASES[agent]
    whole, disk, seen = await record(world, tmp_path / "whole", agent, input, pause_s)
    assert whole.run.output == output, whole.run.error
    whole.story.check()
    stride = max(1, len(disk.lengths) // MOMENTS)
    for moment in range(0, len(disk.lengths), stride):
        await check_recovery(world, tmp_path / f"{moment}", whole, disk, seen, moment)


@pytest.mark.parametrize("pause_s", [0.0, 0.004], ids=["fast-disk", "slow-disk"])
async def test_a_tool_that_must_not_be_repeated_is_called_once_at_most_whatever_happens(
    world: Deployment, tmp_path: Path, pause_s: float
) -> None:
    whole, disk, _ = await record(world, tmp_path / "whole", "careful", TOPIC, pause_s)
    assert whole.run.status == "finished", whole.run.error
    ends = set()
    for moment in range(len(disk.lengths)):
        async with world.start_process(disk.leave(moment, tmp_path / str(moment))) as process:
            recorded = await follow(process, whole.run.run_id)
        recorded.story.check()
        called = [
            event["step"] for event in recorded.story.calls() if event["data"]["tool"] == "note"
        ]
        assert len(set(called)) == len(called)
        ends.add(end_of(recorded))
    assert ends == {"as if nothing had happened", "tool_cut_off", "the model was told"}


def end_of(recorded: RecordedRun) -> str:
    if recorded.run.error:
        return str(recorded.run.error["code"])
    answer = str(recorded.run.output["answer"])
    return "the model was told" if "it was cut off" in answer else "as if nothing had happened"


async def check_recovery(
    world: Deployment, folder: Path, whole: RecordedRun, disk: Disk, seen: LiveReader, moment: int
) -> None:
    agent = whole.run.agent
    before = disk.events(moment, whole.run.run_id)
    world.voice.forget()
    async with world.start_process(disk.leave(moment, folder)) as process:
        recorded = await follow(process, whole.run.run_id)
        assert await log_of(process, whole.run.run_id, len(before)) == recorded.log[len(before) :]
    recorded.story.check()
    assert recorded.log[: len(before)] == before
    assert seen.before(disk.lengths[moment]) == before[: len(seen.before(disk.lengths[moment]))]
    assert recorded.run.status == whole.run.status, recorded.run.error
    assert recorded.run.output == whole.run.output
    assert counted(recorded.story.texts(), agent) == counted(whole.story.texts(), agent)
    assert counted(recorded.story.nodes(), agent) == counted(whole.story.nodes(), agent)
    done = [f"Say: {text}" for text in Story([loads(line) for line in before]).final_texts()]
    assert agent in BEGUN_ANEW or not set(done) & set(world.voice.asked)


def counted(recorded: Any, agent: str) -> Any:
    """What was told by node, or of which nodes, with how often where that is certain."""
    if agent not in BEGUN_ANEW:
        return recorded
    return (
        {key: set(recorded[key]) for key in recorded}
        if isinstance(recorded, dict)
        else set(recorded)
    )
