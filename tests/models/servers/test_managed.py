"""Servers that Motet starts, as real processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import psutil
import pytest

from config.errors import Invalid, TimedOut, Unavailable
from config.settings import load_settings
from models.backends.openai.driver import OpenAIDriver, OpenAIModel
from models.catalog.spec import ModelSpec
from models.driver import DriverContext
from models.lease import ModelSource
from models.manager import open_models
from models.scheduling.requirement import MemoryRequirement
from models.servers.readiness import find_free_port
from tests.support.tenants import TENANT

SERVER = [sys.executable, "-S", str(Path(__file__).parents[2] / "support" / "managed.py"), "{port}"]
BOUND_S = 120


def spec(*modes: str, command: Any = None, **serve: Any) -> ModelSpec:
    fields = {"name": "mine", "task": "chat", "backend": "openai"}
    served = {"command": command or [*SERVER, *modes], "stop_grace_s": 5, **serve}
    return ModelSpec.model_validate({**fields, "options": {"serve": served}})


class Servers:
    """Loads through the driver; what is left at the end is unloaded."""

    def __init__(self, driver: OpenAIDriver) -> None:
        self.driver = driver
        self.loaded: list[OpenAIModel] = []
        self.news: list[Any] = []

    async def load(self, spec: ModelSpec) -> OpenAIModel:
        need = self.driver.estimate(spec)[0]
        async with asyncio.timeout(BOUND_S):
            self.loaded.append(await self.driver.load(spec, need, self.news.append))
        return self.loaded[-1]


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    driver = OpenAIDriver(DriverContext(load_settings(home=tmp_path), {}, cast(ModelSource, None)))
    servers = Servers(driver)
    yield servers
    for model in servers.loaded:
        await model.unload()
    await driver.close()


def url_of(model: OpenAIModel) -> str:
    assert model._server
    return model._server.url.removesuffix("/v1")


def family(model: OpenAIModel) -> list[psutil.Process]:
    assert model._server
    return cast(Any, model._server._running)._family()  # type: ignore[no-any-return]


def ours() -> list[psutil.Process]:
    """Find the servers of this test that run."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended, and may not have been collected yet
            if "managed.py" in " ".join(child.cmdline()):
                found.append(child)
    return found


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)


async def test_a_command_is_started_asked_measured_and_ended(servers: Servers) -> None:
    model = await servers.load(spec(ready={"type": "http", "path": "/v1/models"}))
    assert (await model.capability.ainvoke("hi")).text == "Hello there."
    assert model.memory["ram"] > 10_000_000
    running = family(model)
    await model.unload()
    gone, alive = psutil.wait_procs(running, timeout=BOUND_S)
    assert (len(gone), alive) == (2, [])
    assert servers.news[0]["phase"] == "starting"


@pytest.mark.parametrize(
    "ready",
    [
        {"type": "tcp"},
        {"type": "log", "pattern": r"listening on \d+"},
        {"type": "http", "path": "/"},
    ],
    ids=["tcp", "log", "http"],
)
async def test_each_kind_of_readiness_is_waited_for(
    servers: Servers, ready: dict[str, str]
) -> None:
    model = await servers.load(spec(ready=ready))
    assert (await get(url_of(model))).status_code == 200


async def test_environment_and_words_are_filled_in(servers: Servers) -> None:
    model = await servers.load(spec(env={"X": "port {port}"}))
    told = (await get(url_of(model))).json()["env"]
    assert url_of(model).endswith(told.removeprefix("port "))


async def test_variables_that_its_entry_names_are_passed_and_others_are_not(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", "mine")
    without = await servers.load(spec())
    named = await servers.load(spec(pass_env=["X", "ABSENT"]))

    async with httpx.AsyncClient() as client:
        answers = [(await client.get(url_of(each))).json()["env"] for each in (without, named)]

    assert answers == [None, "mine"]


async def test_loaded_model_on_its_fixed_port_stays_available(servers: Servers) -> None:
    port = find_free_port()
    fixed = spec(port=port)
    model = await servers.load(fixed)
    assert url_of(model).endswith(f":{port}")
    assert await servers.driver.available(fixed) is None
    other = fixed.model_copy(update={"name": "other"})
    assert f"Port {port}" in (await servers.driver.available(other) or "")
    await model.unload()
    assert await servers.driver.available(other) is None


async def test_a_server_that_never_gets_ready_is_ended_and_told_with_its_output(
    servers: Servers,
) -> None:
    with pytest.raises(TimedOut, match="start_timeout_s") as caught:
        await servers.load(spec("--slow", start_timeout_s=1))
    assert "listening" in caught.value.details["output"][0]
    assert ours() == []


async def test_a_server_that_ends_while_starting_tells_its_last_words(servers: Servers) -> None:
    with pytest.raises(Unavailable, match="ended: exit status") as caught:
        await servers.load(spec("--dies"))
    assert caught.value.code == "server_died"
    assert "no kernel image" in caught.value.details["output"][-1]


async def test_a_load_that_is_cancelled_leaves_nothing(servers: Servers) -> None:
    loading = asyncio.create_task(servers.load(spec("--slow")))
    async with asyncio.timeout(BOUND_S):
        while not ours():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert ours() == []


async def test_a_server_that_ends_by_itself_is_lost_and_the_log_says_why(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    model = await servers.load(spec())
    with pytest.raises(httpx.HTTPError):
        await get(url_of(model) + "/die")
    assert model.lost
    reason = await asyncio.wait_for(model.lost, BOUND_S)
    assert "exit status 7" in reason
    assert "fell off the bus" in caplog.text


@pytest.mark.parametrize(
    ("prompt", "end"), [("exit", "exit status 7"), ("kill", "killed by SIGKILL")]
)
async def test_request_whose_server_ends_meanwhile_tells_how_it_ended(
    servers: Servers, prompt: str, end: str
) -> None:
    model = await servers.load(spec())

    with pytest.raises(Unavailable, match=end) as caught:
        await model.capability.ainvoke(prompt)

    assert caught.value.code == "server_died"
    assert caught.value.details["model"] == "mine"
    assert ("bus" in str(caught.value.details["output"])) == (prompt == "exit")


async def test_request_to_a_server_that_has_ended_tells_how(servers: Servers) -> None:
    model = await servers.load(spec())
    with pytest.raises(httpx.HTTPError):
        await get(url_of(model) + "/die")

    with pytest.raises(Unavailable, match="exit status 7") as caught:
        await model.capability.ainvoke("hi")

    assert caught.value.code == "server_died"


async def test_server_that_is_starting_on_its_fixed_port_is_available(servers: Servers) -> None:
    slow = spec("--slow", port=find_free_port())
    loading = asyncio.create_task(servers.load(slow))
    async with asyncio.timeout(BOUND_S):
        while not ours():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert await servers.driver.available(slow) is None

    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading


async def test_children_of_a_server_end_with_it_although_it_ignores_the_signal(
    servers: Servers,
) -> None:
    model = await servers.load(spec("--child", "--deaf", stop_grace_s=0.2))
    running = family(model)
    assert len(running) == 3
    await model.unload()
    assert psutil.wait_procs(running, timeout=BOUND_S)[1] == []


def test_everything_ends_when_the_process_that_started_it_is_killed() -> None:
    guard = Path(__file__).parents[3] / "models" / "servers" / "guard.py"
    command = [sys.executable, "-I", "-S", str(guard), "5", *SERVER[:-1], "0", "--child"]
    starter = (
        "import os, subprocess, sys, time\n"
        "process = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=sys.stdout,"
        " start_new_session=True)\n"
        "print('guard', process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter, *command], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        said = ""
        while "listening" not in said:
            said += parent.stdout.readline()
        pids = [int(number) for number in re.findall(r"(?:guard|child) (\d+)", said)]
        running = [psutil.Process(pid) for pid in pids]
        running += running[0].children()
        parent.kill()
        assert psutil.wait_procs(running, timeout=BOUND_S)[1] == []


async def test_a_program_that_is_not_there_is_said_before_anything_starts(
    servers: Servers,
) -> None:
    absent = spec(command=["no-such-program", "--port", "{port}"])
    assert "no-such-program" in (await servers.driver.available(absent) or "")
    with pytest.raises(Unavailable) as caught:
        await servers.load(absent)
    assert "No such file" in caught.value.details["output"][-1]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"command": ["x"], "image": "y"}, "one of the two"),
    ({"command": "x", "port": 70000}, "port"),
    ({"command": "x", "ready": {"type": "log", "pattern": "("}}, "regular expression"),
    ({"command": "x", "memory": {"gpu": 5}}, "by device"),
    ({"command": "x", "ready": {"type": "smell"}}, "ready"),
]


@pytest.mark.parametrize(("serve", "told"), MISTAKES)
async def test_a_mistake_in_serve_is_named(
    servers: Servers, serve: dict[str, Any], told: str
) -> None:
    fields = {"name": "mine", "task": "chat", "backend": "openai", "options": {"serve": serve}}
    why = await servers.driver.available(ModelSpec.model_validate(fields)) or ""
    assert told in why
    assert "serve" in why


def test_what_it_takes_is_counted_where_it_is_declared(tmp_path: Path) -> None:
    driver = OpenAIDriver(DriverContext(load_settings(home=tmp_path), {}, cast(ModelSource, None)))
    declared = spec(memory={"cuda:0": 8, "ram": 2})
    assert driver.estimate(declared) == [MemoryRequirement({"cuda:0": 8, "ram": 2}, "cuda:0")]
    plain = spec().model_copy(update={"memory_bytes": 5})
    assert driver.estimate(plain) == [MemoryRequirement({"ram": 5})]
    on_gpu = plain.model_copy(update={"device": "cuda"})
    assert driver.estimate(on_gpu) == [MemoryRequirement({"cuda:0": 5}, "cuda:0")]


async def test_a_base_url_and_a_server_to_start_exclude_each_other(servers: Servers) -> None:
    both = spec()
    options = {**both.options, "base_url": "http://127.0.0.1:1/v1"}
    with pytest.raises(Invalid, match="one of the two"):
        await servers.load(both.model_copy(update={"options": options}))


async def test_the_manager_starts_it_on_demand_counts_it_and_ends_it(tmp_path: Path) -> None:
    import yaml

    served = {"command": SERVER, "memory": {"ram": 50_000_000}, "stop_grace_s": 5}
    entry = {"task": "chat", "backend": "openai", "options": {"serve": served}}
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"version": 1, "models": {"mine": entry}}))
    async with open_models(load_settings(home=tmp_path)) as models:
        async with models.lease("mine", "chat", tenant=TENANT) as lease:
            assert (await lease.chat.ainvoke("hi")).text == "Hello there."
            assert len(ours()) == 2
            (ram,) = [each for each in models.memory() if each.device == "ram"]
            assert ram.reserved_bytes > 10_000_000
    assert ours() == []


async def test_server_killed_while_it_starts_fails_no_run_that_waits(tmp_path: Path) -> None:
    command = [*SERVER, "--killed-once", str(tmp_path / "killed")]
    served = {"command": command, "memory": {"ram": 50_000_000}, "stop_grace_s": 5}
    entry = {"task": "chat", "backend": "openai", "options": {"serve": served}}
    (tmp_path / "models.yaml").write_text(json.dumps({"version": 1, "models": {"mine": entry}}))
    async with open_models(load_settings(home=tmp_path)) as models:

        async def ask() -> str:
            async with models.lease("mine", "chat", tenant=TENANT) as lease:
                return str((await lease.chat.ainvoke("hi")).text)

        assert await asyncio.gather(*[ask() for _ in range(8)]) == ["Hello there."] * 8
    assert ours() == []
