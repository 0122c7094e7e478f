"""A model whose server is a container: the real Docker SDK against a double of its engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from config.settings import load_settings
from models.backends.openai.driver import OpenAIDriver
from models.catalog.spec import ModelSpec
from models.devices.accelerator import Accelerator
from models.driver import DriverContext
from models.lease import ModelSource
from tests.support.docker import Docker
from tests.support.ollama import Ollama

BOUND_S = 120
NVIDIA = Accelerator("cuda:0", "nvidia", "H100", 80_000_000_000)
SERVE = {
    "image": "maker/server:1",
    "args": ["--model", "{source}", "--port", "{port}"],
    "container_port": 9000,
    "env": {"TOKEN": "x"},
    "volumes": {"weights": "/weights"},
    "ready": {"type": "http", "path": "/api/version"},
    "memory": {"cuda:0": 8_000_000_000, "ram": 1_000_000_000},
    "stop_grace_s": 3,
}
FIELDS = {"name": "mine", "task": "chat", "backend": "openai", "source": "tiny"}
SPEC = ModelSpec.model_validate({**FIELDS, "options": {"serve": SERVE}})


class Machine:
    """An engine whose containers are doubles of a server."""

    def __init__(self) -> None:
        self.docker = Docker(self._start, self._end, runtimes=("runc", "nvidia"))
        self.served: Ollama | None = None

    def _start(self, asked: dict[str, Any]) -> None:
        (bound,) = asked["HostConfig"]["PortBindings"]["9000/tcp"]
        self.served = Ollama(port=int(bound["HostPort"]))
        self.served.add("tiny", "Hello.")
        self.served.start()

    def _end(self) -> None:
        if self.served:
            self.served.stop()


@pytest.fixture
async def machine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    machine = Machine()
    machine.docker.start()
    monkeypatch.setenv("DOCKER_HOST", machine.docker.host)
    yield machine
    machine.docker.die(0)
    machine.docker.stop()


@pytest.fixture
async def driver(machine: Machine, tmp_path: Path) -> AsyncIterator[OpenAIDriver]:
    settings = load_settings(home=tmp_path)
    context = DriverContext(settings, {}, cast(ModelSource, None), accelerators=[NVIDIA])
    driver = OpenAIDriver(context)
    yield driver
    await driver.close()


async def test_it_is_pulled_run_asked_counted_and_removed(
    machine: Machine, driver: OpenAIDriver
) -> None:
    news: list[Any] = []
    (need,) = driver.estimate(SPEC)
    assert need.device == "cuda:0"
    model = await driver.load(SPEC, need, news.append)
    assert (await model.capability.ainvoke("hi")).text == "Hello."
    assert model.memory == SERVE["memory"]
    (container,) = machine.docker.containers.values()
    assert container.asked["Cmd"] == ["--model", "tiny", "--port", "9000"]
    assert container.asked["Env"] == ["TOKEN=x"]
    assert container.asked["HostConfig"]["Binds"] == ["weights:/weights:rw"]
    assert container.asked["HostConfig"]["DeviceRequests"][0]["Count"] == -1
    await model.unload()
    assert machine.docker.containers == {}
    assert "pulling" in {each["phase"] for each in news}


async def test_one_that_ends_by_itself_is_lost_with_its_last_words_in_the_log(
    machine: Machine, driver: OpenAIDriver, caplog: pytest.LogCaptureFixture
) -> None:
    model = await driver.load(SPEC, driver.estimate(SPEC)[0], lambda news: None)
    await asyncio.to_thread(machine.docker.die, 139)
    assert model.lost
    reason = await asyncio.wait_for(model.lost, BOUND_S)
    assert "exit status 139" in reason
    assert "listening" not in reason
    assert "listening" in caplog.text
    await model.unload()
