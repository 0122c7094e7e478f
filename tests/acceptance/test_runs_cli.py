"""`motet runs` and `--hold-runs`: what a killed server left, with a server and without one."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.support.command import Motet
from tests.support.forked import ForkedServer
from tests.support.service import (
    AGENTS,
    begin_gated_run,
    error_of,
    open_client,
    run_to_end,
)
from tests.support.socket_gate import SocketGate


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(AGENTS, home / "agents", ignore=shutil.ignore_patterns("__pycache__"))
    return home


@asynccontextmanager
async def serving(home: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """A server on the folder, killed at the end."""
    server = ForkedServer(home, **settings)
    await server.start()
    try:
        async with open_client(server.url) as client:
            yield client
    finally:
        await server.kill()


async def leave_runs(home: Path, gate: SocketGate, number: int) -> list[str]:
    """Runs that a killed server left under way, oldest first, by their ids."""
    left = []
    async with serving(home) as client:
        for _ in range(number):
            left.append((await begin_gated_run(client, gate)).rpartition("/")[2])
            gate.close_again()
    return left


async def listed(motet: Motet, *options: str) -> list[dict[str, Any]]:
    answer = await motet("runs", "list", "--json", *options)
    assert answer.status == 0, answer.error
    runs: list[dict[str, Any]] = orjson.loads(answer.out)["runs"]
    return runs


async def test_runs_that_are_held_are_listed_resumed_and_cancelled(
    home: Path, gate: SocketGate
) -> None:
    first, second, third = await leave_runs(home, gate, 3)
    motet = Motet(home)

    async with serving(home, hold_runs="true") as client:
        held = await listed(motet)
        assert [(each["run_id"], each["held"]) for each in held] == [
            (third, "operator"),
            (second, "operator"),
            (first, "operator"),
        ]
        assert "running, held" in (await motet("runs", "list")).out
        resumed = await motet("runs", "resume", first)
        assert resumed.out == f"Run {first} is running.\n"
        await gate.knocked()
        assert (await motet("runs", "cancel", second)).out == f"Run {second} is cancelled.\n"
        gate.open()
        follow = await client.get(f"/runs/{first}/events")
        assert "run.finished" in follow.text

        assert [each["run_id"] for each in await listed(motet)] == [third]
        assert [each["run_id"] for each in await listed(motet, "--status", "finished")] == [first]
        again = await motet("runs", "resume", first)
        assert (again.status, again.error) == (
            1,
            f"Run {first} is finished and not held: it goes on with an answer alone.\n",
        )


async def test_without_a_server_runs_are_listed_and_cancelled_and_nothing_else_goes_on(
    home: Path, gate: SocketGate
) -> None:
    first, second = await leave_runs(home, gate, 2)
    motet = Motet(home)

    assert [each["run_id"] for each in await listed(motet)] == [second, first]
    assert orjson.loads((await motet("runs", "show", first)).out)["status"] == "running"
    assert (await motet("runs", "cancel", first)).out == f"Run {first} is cancelled.\n"
    again = await motet("runs", "cancel", first)
    assert (again.status, again.error) == (1, f"Run {first} has ended already: it is cancelled.\n")

    assert [each["run_id"] for each in await listed(motet)] == [second]
    gate.open()
    async with serving(home) as client:
        stored = (await client.get(f"/runs/{first}/events")).text
        assert stored.count("event: run.cancelled") == 1
        assert "run.finished" in (await client.get(f"/runs/{second}/events")).text


async def test_runs_cancelled_before_one_that_is_refused_are_told(
    home: Path, gate: SocketGate
) -> None:
    (run_id,) = await leave_runs(home, gate, 1)

    said = await Motet(home)("runs", "cancel", run_id, "nothing")

    assert said.status == 1
    assert said.out == f"Run {run_id} is cancelled.\n"
    assert said.error == "There is no run nothing.\n"


async def test_without_a_server_a_resumed_run_goes_on_alone(home: Path, gate: SocketGate) -> None:
    first, second = await leave_runs(home, gate, 2)
    gate.open()
    motet = Motet(home)

    resumed = await motet("runs", "resume", second)

    assert resumed.out == f"Run {second} is finished.\n"
    assert [each["run_id"] for each in await listed(motet)] == [first]


async def test_a_waiting_run_is_answered_by_the_command(home: Path) -> None:
    async with serving(home) as client:
        asked = await run_to_end(client, "asking", {"draft": "hi"})
    motet = Motet(home)
    assert [each["status"] for each in await listed(motet)] == ["waiting"]

    missing = await motet("runs", "resume", asked["run_id"])
    assert missing.status == 1
    assert "is waiting and not held: it goes on with an answer alone." in missing.error
    answered = await motet("runs", "resume", asked["run_id"], "--answer", '{"fine": true}')

    assert answered.out == f"Run {asked['run_id']} is finished.\n"
    shown = orjson.loads((await motet("runs", "show", asked["run_id"])).out)
    assert shown["output"]["verdict"] == {"fine": True}


async def test_command_that_a_waiting_run_names_answers_it_without_a_server(home: Path) -> None:
    motet = Motet(home)
    asked = await motet("run", "asking", "draft=hi")
    assert asked.status == 3
    named = asked.out.partition("Answer with: motet ")[2].split()

    answered = await motet(*named[:-1], '{"fine": true}')

    assert named[-1] == "JSON"
    assert answered.out == f"Run {named[2]} is finished.\n"


async def test_a_held_run_takes_no_answer_and_its_thread_no_other_run(
    home: Path, gate: SocketGate
) -> None:
    async with serving(home) as client:
        thread = (await client.post("/threads", json={})).json()["thread_id"]
        address = await begin_gated_run(client, gate, thread_id=thread)

    async with serving(home, hold_runs="true") as client:
        answered = await client.post(f"{address}/resume", json={"answer": 1})
        assert error_of(answered, 409, "run_not_waiting")
        body = {"input": {}, "thread_id": thread}
        other = await client.post("/agents/gated/run", json=body)
        assert error_of(other, 409, "thread_busy")["details"]["run_id"] in address


async def test_runs_that_are_not_there_are_told(home: Path) -> None:
    motet = Motet(home)

    assert await listed(motet) == []
    for action in ("show", "cancel"):
        missing = await motet("runs", action, "nothing")
        assert (missing.status, missing.error) == (1, "There is no run nothing.\n")
