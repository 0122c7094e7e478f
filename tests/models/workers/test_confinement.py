"""What workers may not do, as the kernel sees it, and what they get to know of the server."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.servers.output import Output
from models.servers.process import ServerProcess
from models.workers.confinement import NO_NETWORK, PARSING, UNCONFINED, Confinement
from models.workers.environment import HUB_NAMES, server_environment, worker_environment
from models.workers.process import WorkerProcess

TARGET = "tests.support.worker_handler:Recorder"
SECRETS = {
    "OPENAI_API_KEY": "sk-secret",
    "HF_TOKEN": "hf_secret",
    "DATABASE_URL": "postgres://me:secret@db",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "MOTET_WEBHOOK_SECRET": "secret",
    "VLLM_API_KEY": "secret",
    "TORCH_HUB_TOKEN": "secret",
    "CUDA_STORE_PASS": "secret",
    "XDG_DB_PWD": "secret",
    "HTTPS_PROXY": "http://me:secret@proxy",
}
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="seccomp and Landlock are Linux's")


class Prober:
    """Asks workers to try something."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def worker(self, confinement: Confinement) -> WorkerProcess:
        worker = await WorkerProcess.start(
            TARGET, name="probe", options={}, confinement=confinement
        )
        self._stack.push_async_callback(worker.stop)
        return worker

    async def probe(self, confinement: Confinement, **attempts: object) -> dict[str, Any]:
        worker = await self.worker(confinement)
        results = {}
        for attempt, argument in attempts.items():
            about = {"attempt": attempt, "argument": str(argument)}
            reply = (await worker.call("probe", about, timeout_s=240)).header
            results[attempt] = reply.get("refused") or reply["result"]
        return results


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    async with AsyncExitStack() as stack:
        yield Prober(stack)


@pytest.fixture
async def listening() -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@linux_only
@pytest.mark.parametrize("confinement", [NO_NETWORK, PARSING])
async def test_worker_without_network_opens_no_socket_to_other_machines(
    prober: Prober, listening: int, confinement: Confinement
) -> None:
    results = await prober.probe(confinement, connect=listening, datagram=listening)

    assert results == {"connect": "PermissionError", "datagram": "PermissionError"}


async def test_worker_that_pulls_reaches_the_network(prober: Prober, listening: int) -> None:
    results = await prober.probe(UNCONFINED, connect=listening)

    assert "127.0.0.1" in results["connect"]


def test_worker_gets_no_descriptor_of_the_server() -> None:
    """The service's own loop hands on whatever may be inherited."""
    uvloop = pytest.importorskip("uvloop")

    async def probe(number: int) -> dict[str, Any]:
        async with AsyncExitStack() as stack:
            return await Prober(stack).probe(PARSING, descriptor=number)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = fcntl.fcntl(listening, fcntl.F_DUPFD, 300)
        try:
            result = uvloop.run(probe(number))
        finally:
            os.close(number)

    assert result == {"descriptor": "OSError"}


@linux_only
async def test_worker_that_parses_reads_no_file_of_the_server(
    prober: Prober, tmp_path: Path
) -> None:
    (tmp_path / "runs.db").write_text("prompts")
    results = await prober.probe(
        PARSING,
        read=tmp_path / "runs.db",
        list=tmp_path,
        write=tmp_path / "new",
    )

    assert set(results.values()) == {"PermissionError"}
    assert not (tmp_path / "new").exists()


@linux_only
async def test_worker_that_parses_sees_neither_home_nor_the_servers_memory(
    prober: Prober,
) -> None:
    results = await prober.probe(PARSING, list=Path.home(), read=f"/proc/{os.getpid()}/environ")

    assert set(results.values()) == {"PermissionError"}


@linux_only
async def test_worker_that_parses_starts_no_program_and_no_local_connection(
    prober: Prober, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    async with await asyncio.start_unix_server(lambda reader, writer: None, path):
        results = await prober.probe(PARSING, run="hello", unix=path)

    assert set(results.values()) == {"PermissionError"}


async def test_worker_that_parses_still_reads_the_installation_and_has_threads(
    prober: Prober,
) -> None:
    results = await prober.probe(PARSING, read=os.__file__, thread="works")

    assert results["read"].startswith("r")
    assert results["thread"] == "works"


@linux_only
async def test_worker_writes_below_what_is_named_alone(prober: Prober, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    confinement = replace(PARSING, writable=(str(tmp_path / "mine"),))

    inside = await prober.probe(confinement, write=tmp_path / "mine" / "new")
    outside = await prober.probe(confinement, write=tmp_path / "new")

    assert (inside["write"], outside["write"]) == ("7", "PermissionError")


async def test_workers_do_not_get_the_secrets_of_the_server(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_PROC_BIND", "close")
    worker = await prober.worker(NO_NETWORK)

    async def seen(name: str) -> str:
        about = {"attempt": "environment", "argument": name}
        return str((await worker.call("probe", about, timeout_s=240)).header["result"])

    assert [await seen(name) for name in SECRETS] == [""] * len(SECRETS)
    assert await seen("OMP_PROC_BIND") == "close"


async def test_started_servers_get_their_own_names_and_no_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**SECRETS, "OLLAMA_MODELS": "/models"}.items():
        monkeypatch.setenv(name, value)
    output = Output("env")
    server = await ServerProcess.start(
        "env", ["env"], output, env={"OPENAI_API_KEY": "of its entry"}
    )
    await asyncio.wait_for(asyncio.shield(server.exited), 240)
    await server.stop(0)

    lines = dict(line.split("=", 1) for line in output if "=" in line)
    assert lines["OPENAI_API_KEY"] == "of its entry"
    assert lines["OLLAMA_MODELS"] == "/models"
    assert not {"HF_TOKEN", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "VLLM_API_KEY"} & set(lines)


def test_tokens_of_the_hub_reach_pulls_alone() -> None:
    assert worker_environment(HUB_NAMES, SECRETS).keys() == {"HF_TOKEN", "HTTPS_PROXY"}
    assert worker_environment(environment=SECRETS) == {}
    assert server_environment(SECRETS).keys() == {"HTTPS_PROXY"}
