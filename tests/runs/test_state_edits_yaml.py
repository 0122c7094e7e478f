"""Edits of agents out of YAML while persons are asked: in maps, branches and agents below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from config.errors import Invalid
from runs.record import Run, RunRequest
from runs.threads import Threads
from tests.support.ollama import Ollama
from tests.support.runs.cases import CASES, TOPIC
from tests.support.runs.engines import ended
from tests.support.runs.processes import Deployment, EngineProcess
from tests.support.runs.recording import answer
from tests.support.tenants import TENANT

ASKING = ("confirm", "poll", "panel", "nested", "deep")
"""Agents that ask; what their input said is done with when they do."""


@pytest.fixture
def world(ollama: Ollama) -> Iterator[Deployment]:
    return Deployment(ollama)


async def start(process: EngineProcess, agent: str, input: Any) -> Run:
    request = RunRequest(
        agent=agent, input=input, tenant=TENANT, thread_id=str(uuid4()), create_thread=True
    )
    return await ended(process.engine, (await process.engine.submit(request)).run_id)


async def edit(process: EngineProcess, run: Run, **values: Any) -> None:
    threads = Threads(process.store, process.checkpoints, process.engine)
    await threads.update_state(run.thread_id, values, tenant=TENANT)


@pytest.mark.parametrize("agent", ASKING)
async def test_edits_between_all_questions_lose_no_answer_and_repeat_nothing(
    world: Deployment, tmp_path: Path, agent: str
) -> None:
    """Each question is answered in another process, each time behind another edit."""
    input, output = CASES[agent]
    edits = 0
    async with world.start_process(tmp_path) as process:
        run = await start(process, agent, input)
    while run.status == "waiting":
        edits += 1
        async with world.start_process(tmp_path) as process:
            await edit(process, run, **input)
        async with world.start_process(tmp_path) as process:
            await answer(process, run)
            run = await ended(process.engine, run.run_id)

    assert edits
    assert run.output == output
    assert max(Counter(world.voice.asked).values()) == 1


async def test_a_letter_approved_with_changes_is_sent_once_and_changed(
    world: Deployment, tmp_path: Path
) -> None:
    async with world.start_process(tmp_path) as process:
        run = await start(process, "approve", TOPIC)

        await edit(process, run, letter="better letter")
        await answer(process, run)

        run = await ended(process.engine, run.run_id)
        assert run.output["letter"] == "better letter"
        assert process.calls == {
            "note letter on T": 1,
            "note better letter yes-to-send-letter-on-T": 1,
        }


@pytest.mark.parametrize("value", [5, ["a"], {"text": "a"}, True])
async def test_a_value_of_another_type_than_its_channel_is_refused(
    world: Deployment, tmp_path: Path, value: Any
) -> None:
    async with world.start_process(tmp_path) as process:
        run = await start(process, "approve", TOPIC)

        with pytest.raises(Invalid) as refused:
            await edit(process, run, topic=value)

    assert refused.value.code == "channel_type_mismatch"
    assert refused.value.details["field"] == "values.topic"


async def test_a_letter_edited_by_a_run_that_goes_on_is_stamped_once(
    world: Deployment, tmp_path: Path
) -> None:
    async with world.start_process(tmp_path) as process:
        run = await start(process, "approve", TOPIC)
        await edit(process, run, letter="better letter")
        request = RunRequest(agent="approve", tenant=TENANT, thread_id=run.thread_id)
        again = await ended(process.engine, (await process.engine.submit(request)).run_id)

        assert [each["value"]["message"] for each in again.interrupts] == ["send better letter?"]
        await answer(process, again)

        again = await ended(process.engine, again.run_id)
        assert again.output["sent"] == "noted better letter yes-to-send-better-letter"
        assert process.calls["note letter on T"] == 1
