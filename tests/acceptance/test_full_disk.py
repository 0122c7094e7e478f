"""A disk that takes nothing: every request is told so in the envelope, nothing is half-written,
and all goes on when there is room. A bound on the size of files stands for the disk."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.full_disk import full
from tests.support.service import (
    AGENTS,
    begin_gated_run,
    error_of,
    open_client,
    run_to_end,
    shouting_agent,
)
from tests.support.socket_gate import SocketGate

STORAGE = ("storage_full", "run_storage_failed", "index_storage_failed", "storage_failed")


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    shutil.copytree(AGENTS, tmp_path / "agents", ignore=shutil.ignore_patterns("__pycache__"))
    server = ForkedServer(tmp_path, drain_s="1")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(own_server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(own_server.url) as client:
        yield client


def files_of(home: Path) -> list[str]:
    """Everything but the databases, which SQLite writes ahead and behind as it likes."""
    paths = (path for path in home.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if ".db" not in path.name)


PICTURE = {"files": ("photo.png", b"\x89PNG\r\n\x1a\n" + b"x" * 100, "image/png")}
LARGE = {"files": ("large.bin", b"x" * (3 * 2**20), "application/octet-stream")}
DATA = {"data": "data:text/plain;base64,SGVsbG8gd29ybGQ=", "name": "hello.txt"}


async def change(client: httpx.AsyncClient, yaml: str) -> dict[str, httpx.Response]:
    """Send what is stored in a file or a database, each answer by what it was."""
    form: dict[str, Any] = {"input": (None, "{}"), "x": ("x.png", b"123", "image/png")}
    snapshot = ("a.motet", b"x" * (3 * 2**20), "application/octet-stream")
    return {
        "upload": await client.post("/artifacts", files=PICTURE),
        "large upload": await client.post("/artifacts", files=LARGE),
        "data URL": await client.post("/artifacts", json=DATA),
        "agent": await client.post("/agents", json={"yaml": yaml}),
        "run": await client.post("/agents/quick/run", json={"input": {"x": 1}}),
        "background run": await client.post(
            "/agents/quick/run", json={"input": {"x": 1}, "background": True}
        ),
        "index": await client.post("/indexes", json={"name": "notes"}),
        "snapshot": await client.post("/indexes/import", files={"file": snapshot}),
        "thread": await client.post("/threads", json={}),
        "form": await client.post("/agents/quick/run", files=form),
    }


async def test_full_disk_answers_in_the_envelope_and_leaves_nothing_half_written(
    own_server: ServerProcess, client: httpx.AsyncClient
) -> None:
    yaml = shouting_agent("louder")
    await client.post("/artifacts", files={"files": ("a.txt", b"before", "text/plain")})
    before = files_of(own_server.home)

    with full(own_server):
        answers = await change(client, yaml)
        health = await client.get("/health")

    form = answers.pop("form")
    assert form.status_code in (422, 503)
    for name, answer in answers.items():
        assert answer.status_code == 503, (name, answer.text)
        error = answer.json()["error"]
        assert error["code"] in STORAGE, name
        assert str(own_server.home) not in answer.text, name
    assert health.status_code == 200
    assert files_of(own_server.home) == before
    assert (await client.get("/agents/louder")).status_code == 404


async def test_all_that_was_refused_is_taken_when_there_is_room(
    own_server: ServerProcess, client: httpx.AsyncClient
) -> None:
    yaml = shouting_agent("louder")
    with full(own_server):
        await change(client, yaml)

    answers = await change(client, yaml)

    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses.pop("snapshot") == statuses.pop("form") == 422
    assert set(statuses.values()) <= {200, 201, 202}, statuses


async def test_run_that_was_refused_with_503_is_never_executed(
    own_server: ServerProcess, client: httpx.AsyncClient
) -> None:
    body = {"input": {"x": 1}, "background": True}
    with full(own_server):
        refused = await asyncio.gather(
            *(client.post("/agents/quick/run", json=body) for _ in range(5))
        )
    for answer in refused:
        error_of(answer, 503, "run_storage_failed")

    accepted = await run_to_end(client, "quick", {"x": 1})
    await own_server.kill()
    await own_server.start()
    async with open_client(own_server.url) as again:
        ready = (await again.get("/ready")).json()
        runs = (await again.get(f"/runs/{accepted['run_id']}")).json()

    assert ready["active_runs"] == 0
    assert runs["status"] == "finished"


async def test_run_under_way_is_held_by_a_full_disk_and_goes_on_by_itself(
    own_server: ServerProcess, client: httpx.AsyncClient, gate: SocketGate
) -> None:
    address = await begin_gated_run(client, gate)
    with full(own_server):
        gate.open()
        not_ready = await client.get("/ready")
        while not (await client.get("/ready")).json()["error"]["details"]["reasons"][1:]:
            pass
        held = (await client.get("/ready")).json()["error"]
        status = (await client.get(address)).json()["status"]

    async with asyncio.timeout(240):
        while (ended := (await client.get(address)).json())["status"] == "running":
            pass

    error_of(not_ready, 503, "not_ready")
    codes = [reason["code"] for reason in held["details"]["reasons"]]
    assert codes == ["storage_full", "run_storage_failed"]
    assert status == "running"
    assert (ended["status"], ended["output"]["log"]) == ("finished", ["before", "hold", "after"])
    assert (await client.get("/ready")).json()["held_runs"] == 0


async def test_agent_that_cannot_be_replaced_stays_as_it_was(
    own_server: ServerProcess, client: httpx.AsyncClient
) -> None:
    await client.post("/agents", json={"yaml": shouting_agent("louder")})
    before = (await client.get("/agents/louder")).json()
    changed = shouting_agent("louder").replace("!", "?") + "# longer\n"

    with full(own_server):
        answer = await client.put("/agents/louder", json={"yaml": changed})

    assert answer.status_code == 503
    assert (await client.get("/agents/louder")).json() == before
    assert (own_server.home / "agents" / "louder.yaml").read_text() == before["yaml"]


async def test_export_that_does_not_fit_is_told_and_leaves_no_file(
    own_server: ServerProcess, client: httpx.AsyncClient
) -> None:
    await client.post("/indexes", json={"name": "notes"})
    await client.post("/indexes/notes/documents", json={"text": "Cats sleep.", "source": "c.md"})
    before = files_of(own_server.home / "exchange")

    with full(own_server):
        answer = await client.get("/indexes/notes/export")

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] in STORAGE
    assert str(own_server.home) not in answer.text
    assert files_of(own_server.home / "exchange") == before
    assert (await client.get("/indexes/notes/export")).status_code == 200
