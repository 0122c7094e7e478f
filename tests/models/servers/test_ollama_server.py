"""Starting and stopping Ollama: the program as a process, the container by the real Docker SDK."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from config.errors import MotetError, Unavailable
from config.settings import load_settings
from models.backends.ollama.driver import OllamaDriver
from models.backends.ollama.options import OllamaSettings
from models.backends.ollama.server import OllamaServer, plan
from models.catalog.spec import ModelSpec
from models.devices.accelerator import Accelerator
from models.driver import DriverContext
from models.lease import ModelSource
from models.manager import open_models
from models.scheduling.requirement import MemoryRequirement
from models.servers.gpus import gpu_options
from models.servers.readiness import find_free_port
from tests.support.docker import Docker
from tests.support.ollama import Ollama
from tests.support.tenants import TENANT

ROOT = Path(__file__).parents[3]
BOUND_S = 120
HERE = "http://127.0.0.1:11434"
NVIDIA = Accelerator("cuda:0", "nvidia", "H100", 80_000_000_000)
AMD = Accelerator("cuda:0", "amd", "MI300", 190_000_000_000)


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A program `ollama`: the double, as a process."""
    file = tmp_path / "ollama"
    file.write_text(
        f'#!/bin/sh\ncd {ROOT}\nexec {sys.executable} -m tests.support.ollama_program "$@"\n'
    )
    file.chmod(0o755)
    return str(file)


Open = Callable[..., Any]


@pytest.fixture
async def url() -> str:
    return f"http://127.0.0.1:{find_free_port()}"


@asynccontextmanager
async def driver_for(
    url: str, home: Path, accelerators: Sequence[Accelerator] = (), **options: Any
) -> AsyncIterator[OllamaDriver]:
    settings = load_settings(home=home, ollama_url=url)
    context = DriverContext(settings, options, cast(ModelSource, None), accelerators=accelerators)
    driver = OllamaDriver(context)
    try:
        async with asyncio.timeout(BOUND_S):
            yield driver
    finally:
        await driver.close()


async def found(driver: OllamaDriver) -> list[str]:
    """The chat models, once Ollama was started; bounded by the caller."""
    while True:
        try:
            return [each.source for each in await driver.discover("chat")]
        except Unavailable as error:
            if error.code != "ollama_starting":
                raise
        driver._probe.forget()


async def test_the_program_is_started_when_a_model_is_asked_for_and_ended_with_the_driver(
    url: str, program: str, tmp_path: Path
) -> None:
    async with driver_for(url, tmp_path, start="auto", program=program) as driver:
        assert await found(driver) == ["tiny"]
        assert await driver.server.start(lambda news: None) == "native"  # that one
        assert driver.server.started
        model = await driver.load(_spec("tiny"), MemoryRequirement(), lambda news: None)
        assert (await model.capability.ainvoke("hi")).text == "max 64"
        await model.unload()
    async with driver_for(url, tmp_path) as driver:
        with pytest.raises(Unavailable, match="does not answer"):
            await driver.discover("chat")


def _spec(source: str) -> ModelSpec:
    fields = {"name": "mine", "task": "chat", "backend": "ollama", "source": source}
    return ModelSpec.model_validate(fields)


async def test_one_that_was_not_started_here_is_never_stopped(
    ollama: Ollama, program: str, tmp_path: Path
) -> None:
    ollama.add("theirs")
    async with driver_for(ollama.url, tmp_path, start="native", program=program) as driver:
        assert await found(driver) == ["theirs"]
        assert not driver.server.started
        await driver.server.stop()
    async with driver_for(ollama.url, tmp_path) as driver:
        assert await found(driver) == ["theirs"]


async def test_it_is_started_again_after_it_was_killed(
    url: str, program: str, tmp_path: Path
) -> None:
    async with driver_for(url, tmp_path, start="native", program=program) as driver:
        await found(driver)
        model = await driver.load(_spec("tiny"), MemoryRequirement(), lambda news: None)
        running: Any = driver.server._running
        for process in running._family():
            process.kill()
        assert "does not answer" in await model.lost
        await running.exited
        driver._probe.forget()
        assert await found(driver) == ["tiny"]


async def test_a_program_that_fails_says_why_and_is_not_tried_at_once_again(
    url: str,
    program: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OLLAMA_DOUBLE_FAILS", "1")
    async with driver_for(url, tmp_path, start="native", program=program) as driver:
        for _ in range(2):
            with pytest.raises(Unavailable, match="ended: exit status 1") as caught:
                await found(driver)
            assert caught.value.code == "ollama_not_startable"
            task = driver.server._starting
            driver._probe.forget()
        assert driver.server._starting is task
    assert "no space left" in caplog.text


async def test_neither_program_nor_container_says_both(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    async with driver_for(url, tmp_path, start="auto", program="no-ollama") as driver:
        with pytest.raises(Unavailable) as caught:
            await driver.server.start(lambda news: None)
    assert "no program 'no-ollama'" in caught.value.message
    assert "no container engine answers" in caught.value.message


async def test_a_pull_starts_it_too(url: str, program: str, tmp_path: Path) -> None:
    async with driver_for(url, tmp_path, start="native", program=program) as driver:
        news: list[Any] = []
        await driver.pull("more", news.append)
        assert news[-1]["status"] == "success"
        assert set(await found(driver)) == {"tiny", "more"}


PLANS: list[tuple[str, str, str | None, list[str], str]] = [
    ("never", HERE, "/bin/ollama", [], "lets Motet start it"),
    ("auto", "http://gpu-box:11434", "/bin/ollama", [], "another machine"),
    ("native", HERE, "/bin/ollama", ["native"], ""),
    ("native", HERE, None, [], "no program"),
    ("container", HERE, "/bin/ollama", ["container"], ""),
    ("auto", HERE, "/bin/ollama", ["native", "container"], ""),
    ("auto", HERE, None, ["container"], "no program"),
]


@pytest.mark.parametrize(("start", "at", "program_at", "ways", "why"), PLANS)
def test_how_it_would_be_started(
    start: str, at: str, program_at: str | None, ways: list[str], why: str
) -> None:
    made = plan(OllamaSettings.of("x", {"start": start}), at, program_at)
    assert list(made.ways) == ways
    assert why in made.why_not


def test_gpus_are_asked_for_as_the_engine_can_give_them() -> None:
    plain = {"Runtimes": {"runc": {}}}
    toolkit = {"Runtimes": {"runc": {}, "nvidia": {}}}
    cdi = {**toolkit, "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}
    both = ["/dev/kfd", "/dev/dri"]
    assert gpu_options(cdi, [NVIDIA], []).device_requests[0]["driver"] == "cdi"
    assert gpu_options(toolkit, [NVIDIA], []).device_requests[0]["count"] == -1
    assert "Container Toolkit" in gpu_options(plain, [NVIDIA], []).why
    assert list(gpu_options(plain, [AMD], both).devices) == both
    assert "/dev/kfd is not there" in gpu_options(plain, [AMD], ["/dev/dri"]).why
    assert gpu_options(toolkit, [], []).kind == "cpu"


class Engine:
    """The double of Docker, whose container is the double of Ollama."""

    def __init__(self) -> None:
        self.docker = Docker(self._start, self._end)
        self.ollama: Ollama | None = None

    def _start(self, asked: dict[str, Any]) -> None:
        (bound,) = asked["HostConfig"]["PortBindings"]["11434/tcp"]
        assert bound["HostIp"] == "127.0.0.1"
        self.ollama = Ollama(port=int(bound["HostPort"]))
        self.ollama.add("tiny")
        self.ollama.start()

    def _end(self) -> None:
        if self.ollama:
            self.ollama.stop()

    @property
    def asked(self) -> dict[str, Any]:
        (container,) = self.docker.containers.values()
        return container.asked


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    engine = Engine()
    engine.docker.start()
    monkeypatch.setenv("DOCKER_HOST", engine.docker.host)
    yield engine
    engine.docker.die(0)
    engine.docker.stop()


async def test_the_container_is_pulled_run_with_its_gpus_and_volume_and_removed(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    engine.docker.runtimes = ("runc", "nvidia")
    news: list[Any] = []
    async with driver_for(url, tmp_path, [NVIDIA], start="container") as driver:
        assert await driver.server.start(news.append) == "container"
        assert await found(driver) == ["tiny"]
        asked = engine.asked
        assert asked["Image"] == "ollama/ollama:latest"
        assert asked["HostConfig"]["Binds"] == ["motet-ollama:/root/.ollama:rw"]
        assert asked["HostConfig"]["DeviceRequests"][0]["Capabilities"] == [["gpu"]]
        assert asked["Healthcheck"]["Test"] == ["CMD", "ollama", "list"]
        assert "OLLAMA_MAX_LOADED_MODELS=64" in asked["Env"]
    assert engine.docker.containers == {}
    assert [each["completed"] for each in news if each["phase"] == "pulling"][-1] == 100
    assert [verb for verb, _ in engine.docker.calls] == [
        "pull",
        "create",
        "start",
        "stop",
        "remove",
    ]


async def test_amd_gets_its_own_image_and_devices(url: str, engine: Engine, tmp_path: Path) -> None:
    present = ["/dev/kfd", "/dev/dri"]
    settings = OllamaSettings.of("x", {"start": "container"})
    server = OllamaServer(settings, url, [AMD], str(tmp_path), present=lambda: present)
    try:
        await server.start(lambda news: None)
        asked = engine.asked
        assert asked["Image"] == "ollama/ollama:rocm"
        paths = [each["PathOnHost"] for each in asked["HostConfig"]["Devices"]]
        assert paths == present
    finally:
        await server.stop()


async def test_what_a_killed_motet_left_behind_is_removed_and_nothing_else(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    async with driver_for(url, tmp_path, start="container") as driver:
        await driver.server.start(lambda news: None)
        left: Any = driver.server._running
        driver.server._running = None  # as after a kill
        engine._end()
    other = tmp_path / "other"
    async with driver_for(
        f"http://127.0.0.1:{find_free_port()}", other, start="container"
    ) as second:
        await second.server.start(lambda news: None)
        assert len(engine.docker.containers) == 2
    assert len(engine.docker.containers) == 1
    async with driver_for(url, tmp_path, start="container") as third:
        await third.server.start(lambda news: None)
        assert len(engine.docker.containers) == 1
    await left._engine.close()


async def test_an_image_that_cannot_be_had_is_said(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    engine.docker.refuses = "manifest unknown"
    async with driver_for(url, tmp_path, start="container") as driver:
        with pytest.raises(MotetError, match="manifest unknown"):
            await driver.server.start(lambda news: None)
    assert engine.docker.containers == {}


async def test_the_manager_uses_an_ollama_that_it_started(
    url: str, program: str, tmp_path: Path
) -> None:
    settings = f"version: 1\nbackends: {{ollama: {{start: native, program: {program}}}}}\n"
    (tmp_path / "models.yaml").write_text(settings)
    async with asyncio.timeout(BOUND_S):
        async with open_models(load_settings(home=tmp_path, ollama_url=url)) as models:
            job = models.pulls.start("ollama/more")
            async for _ in models.pulls.watch(job.name):
                pass
            async with models.lease("ollama/tiny", "chat", tenant=TENANT) as lease:
                assert (await lease.chat.ainvoke("hi")).text
