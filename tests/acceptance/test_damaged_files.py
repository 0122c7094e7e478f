"""Every file of a data folder, damaged in every way: the server starts and serves all else, or says
in words which file is at fault. Nothing is ever answered that is not what was stored."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.damage import WAYS
from tests.support.forked import ForkedServer
from tests.support.service import AGENTS, new_thread, open_client, run_to_end

MODELS = "models: {}\n"
INDEXES = "indexes: {}\n"
PULLS = '{"jobs": []}'
SHOUT = """
version: 1
name: shout
description: Says it louder.
input: {text: string}
nodes:
  louder: {type: set, values: {answer: "{{ text | upper }}"}}
output: answer
"""
TOOL = '''
from tools import tool


@tool(repeatable=True)
def double(x: int) -> int:
    """Doubles a number."""
    return 2 * x
'''
SENTENCES = {f"{name}.md": f"The {name} sleeps in the barn." for name in ("cat", "owl", "fox")}


class Stored(NamedTuple):
    """What a server had acknowledged before the damage."""

    home: Path
    run: dict[str, Any]
    thread: str
    sound: str
    """An artifact whose files stay as they are."""
    damaged: str


@asynccontextmanager
async def serving(home: Path, log: Path) -> AsyncIterator[httpx.AsyncClient]:
    server = ForkedServer(home, log=log)
    await server.start()
    try:
        async with open_client(server.url) as client:
            yield client
    finally:
        await server.stop()


async def upload(client: httpx.AsyncClient, data: bytes) -> str:
    files = {"files": ("a.txt", data, "text/plain")}
    id_: str = (await client.post("/artifacts", files=files)).json()["artifacts"][0]["id"]
    return id_


@pytest.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """A data folder with something in every file."""
    home = tmp_path_factory.mktemp("whole") / "home"
    for folder in ("agents", "tools"):
        (home / folder).mkdir(parents=True)
    for name in ("quick.py", "asking.py"):
        (home / "agents" / name).write_text((AGENTS / name).read_text())
    for name in ("shout", "whisper"):
        (home / "agents" / f"{name}.yaml").write_text(SHOUT.replace("shout", name))
    for name in ("double", "triple"):
        (home / "tools" / f"{name}.py").write_text(TOOL.replace("double", name))
    (home / "models.yaml").write_text(MODELS)
    (home / "indexes.yaml").write_text(INDEXES)
    async with serving(home, home.parent / "log") as client:
        await client.post("/indexes", json={"name": "notes"})
        for source, text in SENTENCES.items():
            body = {"text": text, "source": source}
            assert (await client.post("/indexes/notes/documents", json=body)).status_code == 200
        await client.post("/indexes/notes/rebuild")
        thread = await new_thread(client)
        run = await run_to_end(client, "quick", {"x": 1}, thread_id=thread)
        sound, damaged = [await upload(client, data) for data in (b"sound " * 99, b"hello " * 99)]
    return Stored(home, run, thread, sound, damaged)


@pytest.fixture
def stored(whole: Stored, tmp_path: Path) -> Stored:
    home = Path(shutil.copytree(whole.home, tmp_path / "home", symlinks=True))
    (home / "pulls.json").write_text(PULLS)
    return whole._replace(home=home)


def beside_the_databases(stored: Stored) -> list[Path]:
    """All that may be lost without a start being refused; half of each kind."""
    home = stored.home
    return [
        *(home / name for name in ("needs.json", "pulls.json", "owner-token")),
        *(home / name for name in ("agents/shout.yaml", "agents/asking.py", "tools/double.py")),
        *(path for path in (home / "indexes" / "derived").rglob("*") if path.is_file()),
        *(path for path in (home / "artifacts").rglob(f"{stored.damaged}*")),
    ]


async def check_the_rest(client: httpx.AsyncClient, stored: Stored) -> None:
    """Everything is there that was in sound files."""
    assert (await client.get("/ready")).status_code == 200
    run = (await client.get(f"/runs/{stored.run['run_id']}")).json()
    assert run["output"] == stored.run["output"]
    state = (await client.get(f"/threads/{stored.thread}/state")).json()
    assert state["values"]["x"] == stored.run["output"]["x"]
    assert (await client.get(f"/artifacts/{stored.sound}")).content == b"sound " * 99
    assert (await run_to_end(client, "quick", {"x": 5}))["output"]["x"] == 8
    assert (await run_to_end(client, "whisper", {"text": "a"}))["output"] == {"answer": "A"}
    tools = [tool["name"] for tool in (await client.get("/tools")).json()["tools"]]
    assert "triple" in tools
    body = {"query": "Who sleeps in the barn?", "indexes": ["notes"]}
    found = (await client.post("/search", json=body)).json()
    sources = {passage["source"] for passage in found["passages"]}
    assert sources == set(SENTENCES) or not found["complete"], found


async def check_artifact(client: httpx.AsyncClient, id_: str) -> None:
    """An artifact is served as what it is, or not at all, and in words."""
    answer = await client.get(f"/artifacts/{id_}")
    if answer.status_code == 200:
        assert hashlib.sha256(answer.content).hexdigest() == id_
    else:
        assert answer.status_code in (404, 503)
        assert answer.json()["error"]["code"] in ("artifact_not_found", "artifact_damaged")


@pytest.mark.parametrize("way", WAYS)
async def test_damaged_files_beside_the_databases_hide_nothing_else(
    stored: Stored, tmp_path: Path, way: str
) -> None:
    damaged = beside_the_databases(stored)
    assert len(damaged) >= 12
    for path in damaged:
        WAYS[way](path)

    async with serving(stored.home, tmp_path / "log") as client:
        await check_the_rest(client, stored)
        await check_artifact(client, stored.damaged)
        problems = (await client.get("/agents")).json()["problems"]
        assert len(problems) <= 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["models.yaml", "indexes.yaml"])
async def test_a_damaged_file_of_settings_is_named_or_as_good_as_none(
    stored: Stored, tmp_path: Path, name: str, way: str
) -> None:
    WAYS[way](stored.home / name)

    await start_or_say_why(stored, tmp_path / "log", name)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["runs.db", "indexes/indexes.db"])
async def test_a_damaged_database_is_named_and_answers_nothing_that_was_not_stored(
    stored: Stored, tmp_path: Path, name: str, way: str
) -> None:
    WAYS[way](stored.home / name)

    await start_or_say_why(stored, tmp_path / "log", name.rpartition("/")[2])


async def start_or_say_why(stored: Stored, log: Path, name: str) -> None:
    """The server starts, and answers as before or in words; or its last word names the file."""
    try:
        async with serving(stored.home, log) as client:
            for path in (
                *("/ready", "/runs", "/agents", "/tools", "/models", "/indexes", "/artifacts"),
                *(f"/runs/{stored.run['run_id']}", f"/threads/{stored.thread}/state"),
                *("/indexes/notes/documents", f"/runs/{stored.run['run_id']}/events?after=0"),
            ):
                answer = await client.get(path, headers={"accept": "application/json"})
                assert answer.status_code in (200, 404, 503), answer.text
                assert answer.status_code == 200 or answer.json()["error"]["message"]
            assert (await client.get(f"/artifacts/{stored.sound}")).content == b"sound " * 99
    except RuntimeError:  # it ended before it listened
        assert name in log.read_text().splitlines()[-1]
        assert "Traceback" not in log.read_text()
