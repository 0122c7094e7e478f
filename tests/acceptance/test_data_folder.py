"""A data folder that cannot be used: words and an exit status in every command; and damaged files
in a usable one, which keep nothing else from being served."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.server import ServerProcess
from tests.support.command import CommandResult, Motet
from tests.support.forked import ForkedServer
from tests.support.service import AGENTS, begin_gated_run, error_of, open_client
from tests.support.socket_gate import SocketGate

COMMANDS = (
    "serve --port 0",
    "run ask hello",
    "index stats docs",
    "index add docs .",
    "models",
    "agents",
    "doctor",
    "prune",
    "demo",
)
BROKEN: dict[str, Callable[[Path], object]] = {
    "a dangling link": lambda home: home.symlink_to(home.with_name("gone")),
    "a missing mount": lambda home: None,
    "a folder for the lock": lambda home: (home / "lock").mkdir(parents=True),
    "a folder for the database": lambda home: (home / "runs.db").mkdir(parents=True),
}


def assert_refused(result: CommandResult) -> None:
    assert result.status == 1, result
    assert len(result.error.splitlines()[-1]) > 20, result


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_refuses_a_broken_data_folder_in_words(
    tmp_path: Path, command: str
) -> None:
    (tmp_path / "home").write_text("")

    assert_refused(await Motet(tmp_path / "home")(*command.split()))


@pytest.mark.parametrize("name", BROKEN)
async def test_data_folder_that_cannot_be_one_is_refused_in_words(
    tmp_path: Path, name: str
) -> None:
    home = tmp_path / ("mount/home" if name == "a missing mount" else "home")
    BROKEN[name](home)

    for command in ("serve --port 0", "agents"):
        assert_refused(await Motet(home)(*command.split()))

    assert not (tmp_path / "mount").exists()
    assert not (tmp_path / "gone").exists()


async def test_damaged_files_stop_no_start_and_are_told(tmp_path: Path) -> None:
    for name in ("pulls.json", "needs.json"):
        (tmp_path / name).write_bytes(b"\xff\x00 half")
    (tmp_path / "exchange").write_text("a file where a folder was")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "folder.yaml").mkdir()
    (tmp_path / "agents" / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(tmp_path / "agents" / "pipe.yaml")
    (tmp_path / "address").mkdir()
    server = ForkedServer(tmp_path)
    (tmp_path / "address").rmdir()

    await server.start()
    try:
        async with open_client(server.url) as client:
            files = {"files": ("a.txt", b"hello", "text/plain")}
            stored = (await client.post("/artifacts", files=files)).json()["artifacts"][0]
            (description,) = (tmp_path / "artifacts").rglob("*.json")
            description.write_text("{")
            damaged = await client.get(f"/artifacts/{stored['id']}")
            ready = (await client.get("/ready")).json()
            agents = (await client.get("/agents")).json()
    finally:
        await server.stop()
    doctor = await Motet(tmp_path)("doctor")

    error_of(damaged, 503, "artifact_damaged")
    codes = sorted(problem["code"] for problem in ready["problems"])
    assert (ready["status"], codes) == ("ready", ["artifact_damaged", *["file_damaged"] * 2])
    assert len(agents["problems"]) == 3
    assert len(agents["agents"]) > 3
    assert doctor.status == 0
    for told in ("pulls.json.damaged", "needs.json.damaged", stored["id"]):
        assert told in doctor.out


async def test_every_file_of_a_server_is_its_owners_alone(tmp_path: Path, gate: SocketGate) -> None:
    home = tmp_path / "home"
    before = os.umask(0o022)
    try:
        home.mkdir()
        server = ServerProcess(home, agents=str(AGENTS))
        await server.start()
    finally:
        os.umask(before)
    try:
        async with open_client(server.url) as client:
            await client.post("/artifacts", files={"files": ("a.txt", b"hello", "text/plain")})
            await client.post("/indexes", json={"name": "notes"})
            text = {"text": "Cats sleep.", "source": "c.md"}
            await client.post("/indexes/notes/documents", json=text)
            await client.post("/indexes/notes/rebuild")
            await begin_gated_run(client, gate)
            modes = {
                str(path.relative_to(tmp_path)): stat.S_IMODE(path.lstat().st_mode)
                for path in (home, *home.rglob("*"))
            }
        gate.open()
    finally:
        await server.stop()

    assert {"home/runs.db-wal", "home/runs.db-shm", "home/address"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


async def test_server_that_is_stopping_is_not_ready(tmp_path: Path, gate: SocketGate) -> None:
    server = ForkedServer(tmp_path, agents=str(AGENTS), drain_s="20")
    await server.start()
    async with open_client(server.url) as client:
        await begin_gated_run(client, gate)
        assert (await client.get("/ready")).status_code == 200
        stopping = asyncio.create_task(server.stop())
        answer = await client.get("/ready")
        while answer.status_code == 200:
            answer = await client.get("/ready")
        health = await client.get("/health")
        gate.open()

    error = error_of(answer, 503, "not_ready")
    assert [reason["code"] for reason in error["details"]["reasons"]] == ["shutting_down"]
    assert answer.headers["retry-after"] == "5"
    assert health.status_code == 200
    assert await stopping == 0
