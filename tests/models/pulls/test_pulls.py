from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from config.errors import Invalid, NotFound, Unavailable
from config.settings import load_settings
from models.backends.ollama.driver import OllamaDriver
from models.driver import DriverContext, Progress
from models.lease import ModelSource
from models.manager import open_models
from models.pulls import Puller, Pulls, PullState
from tests.support.ollama import Ollama
from tests.support.script import Gate
from tests.support.tenants import TENANT

BOUND_S = 120


def target(name: str, backend: str | None) -> tuple[str, str]:
    if backend:
        return backend, name
    if "/" not in name:
        raise NotFound(f"There is no model '{name}'.", code="model_not_found")
    first, _, rest = name.partition("/")
    return first, rest


class Slow:
    """A puller that tells half and waits to be let go on; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.half = asyncio.Event()
        self.go = asyncio.Event()
        self.failing: Exception | None = None

    async def pull(self, source: str, progress: Progress) -> None:
        self.asked += 1
        progress({"status": "pulling weights", "completed": 5, "total": 10})
        self.half.set()
        await self.go.wait()
        if self.failing:
            raise self.failing
        progress({"status": "success", "completed": 9, "total": 10})


@pytest.fixture
async def slow() -> Slow:
    return Slow()


def pulls_of(tmp_path: Path, puller: Puller | None, events: list[Any] | None = None) -> Pulls:
    told = [] if events is None else events
    return Pulls(tmp_path / "pulls.json", target, lambda backend: puller, told.append)


@pytest.fixture
async def pulls(tmp_path: Path, slow: Slow) -> AsyncIterator[Pulls]:
    pulls = pulls_of(tmp_path, slow)
    yield pulls
    await pulls.close()


async def ended(pulls: Pulls, name: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(BOUND_S):
        return [told async for told in pulls.watch(name)]


async def test_a_job_tells_its_progress_until_it_is_done(pulls: Pulls, slow: Slow) -> None:
    job = pulls.start("x/model")
    watching = asyncio.create_task(ended(pulls, "x/model"))
    await slow.half.wait()
    assert (job.state, job.completed_bytes, job.total_bytes) == (PullState.RUNNING, 5, 10)
    slow.go.set()
    told = await watching
    assert told[0]["state"] in ("queued", "running")
    assert told[-1]["state"] == "done"
    assert told[-1]["completed_bytes"] == 10
    assert json.loads(json.dumps(told))


async def test_a_reader_who_takes_long_is_told_the_end(pulls: Pulls, slow: Slow) -> None:
    pulls.start("x/model")
    watching = pulls.watch("x/model")
    first = await anext(watching)
    slow.go.set()
    await ended(pulls, "x/model")

    last = [told async for told in watching][-1]
    assert (first["state"], last["state"]) == ("queued", "done")


async def test_a_model_has_one_job_however_often_it_is_asked_for(pulls: Pulls, slow: Slow) -> None:
    jobs = [pulls.start("x/model"), pulls.start("model", "x"), pulls.start("x/model")]
    slow.go.set()
    await ended(pulls, "x/model")
    assert len({id(job) for job in jobs}) == 1
    assert slow.asked == 1
    assert len(pulls.list()) == 1


async def test_a_cancelled_job_says_so_and_can_be_started_again(pulls: Pulls, slow: Slow) -> None:
    pulls.start("x/model")
    await slow.half.wait()
    assert (await pulls.cancel("x/model")).state is PullState.CANCELLED
    assert (await pulls.cancel("x/model")).state is PullState.CANCELLED
    slow.go.set()
    pulls.start("x/model")
    assert (await ended(pulls, "x/model"))[-1]["state"] == "done"
    assert slow.asked == 2


async def test_one_cancelled_before_its_first_step_is_cancelled(pulls: Pulls, slow: Slow) -> None:
    pulls.start("x/model")
    assert (await pulls.cancel("x/model")).state is PullState.CANCELLED
    assert slow.asked == 0


async def test_a_failure_is_told_as_our_errors_are(pulls: Pulls, slow: Slow) -> None:
    slow.failing = Unavailable("The Hub fell over.", code="hub_unreachable")
    slow.go.set()
    pulls.start("x/model")
    told = (await ended(pulls, "x/model"))[-1]
    assert (told["state"], told["error"]["code"]) == ("failed", "hub_unreachable")
    slow.failing = ZeroDivisionError("oh")
    pulls.start("x/model")
    assert (await ended(pulls, "x/model"))[-1]["error"]["code"] == "pull_failed"


async def test_a_restart_knows_what_was_interrupted_and_goes_on(tmp_path: Path, slow: Slow) -> None:
    first = pulls_of(tmp_path, slow)
    first.start("x/model")
    await slow.half.wait()
    await first.close()
    second = pulls_of(tmp_path, slow)
    job = second.get("x/model")
    assert (job.state, job.completed_bytes) == (PullState.INTERRUPTED, 5)
    slow.go.set()
    second.start("x/model")
    assert (await ended(second, "x/model"))[-1]["state"] == "done"
    await second.close()
    assert pulls_of(tmp_path, slow).get("x/model").state is PullState.DONE


async def test_after_a_kill_what_was_running_is_interrupted(tmp_path: Path, slow: Slow) -> None:
    killed = pulls_of(tmp_path, slow)
    killed.start("x/model")
    await killed.wait_saved()
    assert pulls_of(tmp_path, slow).get("x/model").state is PullState.INTERRUPTED
    await killed.close()


async def test_a_file_that_is_no_list_of_jobs_is_begun_anew(tmp_path: Path, slow: Slow) -> None:
    (tmp_path / "pulls.json").write_text('[{"state": "dancing"}]')
    pulls = pulls_of(tmp_path, slow)
    assert pulls.list() == []
    slow.go.set()
    pulls.start("x/model")
    await ended(pulls, "x/model")
    await pulls.close()


async def test_names_that_cannot_be_pulled_are_refused(tmp_path: Path) -> None:
    pulls = pulls_of(tmp_path, None)
    with pytest.raises(NotFound):
        pulls.start("nobody")
    with pytest.raises(Invalid) as caught:
        pulls.start("reader/x")
    assert caught.value.code == "not_pullable"
    with pytest.raises(NotFound) as missing:
        pulls.get("x/y")
    assert missing.value.code == "pull_not_found"


async def test_events_tell_every_change(tmp_path: Path, slow: Slow) -> None:
    events: list[Any] = []
    pulls = pulls_of(tmp_path, slow, events)
    slow.go.set()
    pulls.start("x/model")
    await ended(pulls, "x/model")
    await pulls.close()
    assert events[0]["state"] == "queued"
    assert events[-1]["state"] == "done"
    assert {event["name"] for event in events} == {"x/model"}


@pytest.fixture
async def driver(ollama: Ollama, tmp_path: Path) -> AsyncIterator[OllamaDriver]:
    settings = load_settings(home=tmp_path, ollama_url=ollama.url)
    driver = OllamaDriver(DriverContext(settings, {}, cast(ModelSource, None)))
    yield driver
    await driver.close()


async def test_ollama_pulls_a_model_which_is_then_found(
    ollama: Ollama, driver: OllamaDriver, tmp_path: Path
) -> None:
    assert isinstance(driver, Puller)
    ollama.offer("qwen3:8b", size_bytes=1000)
    assert await driver.discover("chat") == []
    pulls = pulls_of(tmp_path, driver)
    pulls.start("qwen3:8b", "ollama")
    told = await ended(pulls, "ollama/qwen3:8b")
    assert told[-1]["state"] == "done"
    assert (told[-1]["completed_bytes"], told[-1]["total_bytes"]) == (1000, 1000)
    assert [each.source for each in await driver.discover("chat")] == ["qwen3:8b"]
    await pulls.close()


async def test_cancelling_makes_ollama_stop(
    ollama: Ollama, driver: OllamaDriver, tmp_path: Path, gate: Gate
) -> None:
    ollama.offer("big", gate=gate)
    pulls = pulls_of(tmp_path, driver)
    pulls.start("ollama/big")
    await gate.reached.wait()
    await pulls.cancel("ollama/big")
    await gate.abandoned.wait()
    assert ollama.card("big") is None
    await pulls.close()


async def test_a_model_that_ollama_does_not_know_is_missing(
    ollama: Ollama, driver: OllamaDriver, tmp_path: Path
) -> None:
    pulls = pulls_of(tmp_path, driver)
    pulls.start("ollama/nothing")
    told = (await ended(pulls, "ollama/nothing"))[-1]
    assert (told["state"], told["error"]["code"]) == ("failed", "model_not_found")
    await pulls.close()


async def test_the_manager_pulls_by_the_names_of_models_and_tells_of_it(
    ollama: Ollama, tmp_path: Path
) -> None:
    ollama.offer("qwen3:8b", "Yes.")
    entry = "{task: chat, backend: ollama, source: 'qwen3:8b'}"
    (tmp_path / "models.yaml").write_text(f"version: 1\nmodels: {{big: {entry}}}\n")
    async with open_models(load_settings(home=tmp_path, ollama_url=ollama.url)) as models:
        events = models.follow_events(after=0)
        assert models.pulls.start("big").name == "ollama/qwen3:8b"
        assert (await ended(models.pulls, "big"))[-1]["state"] == "done"
        async with models.lease("big", "chat", tenant=TENANT) as lease:
            assert (await lease.chat.ainvoke("hi")).text == "Yes."
        seen = [await anext(events) for _ in range(2)]
        assert {event["event"] for event in seen} == {"pull"}
        with pytest.raises(NotFound, match="Did you mean 'big'"):
            models.pulls.start("bigg")
        with pytest.raises(Invalid, match="not pulled"):
            models.pulls.start("reader")
