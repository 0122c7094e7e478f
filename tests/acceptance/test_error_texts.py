"""What errors tell a caller: words and an incident; the log has paths, addresses and output."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.service import open_client

OUTPUT = "pr1nted-by-a-process"
MODELS = """\
models:
  gone:
    backend: openai
    source: maker
    task: chat
    options: {base_url: "http://127.0.0.1:9/v1"}
  served:
    backend: openai
    source: maker
    task: chat
    options: {serve: {command: [sh, -c, "echo OUTPUT; exit 3"]}}
  absent:
    backend: transformers
    source: HOME/models/absent
    task: chat
roles:
  chat: [gone, absent, served]
"""
AGENT = """\
version: 1
name: NAME
description: Write.
input: {text: string}
nodes:
  write: {type: text, model: NAME, prompt: "{{ text }}", save: answer}
output: answer
"""
READER = """\
from typing_extensions import TypedDict
from langgraph.graph import END, START, StateGraph

class State(TypedDict, total=False):
    text: str

async def node(state: State):
    open(state["text"])

def build():
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph
"""
TOOL = """\
from tools import tool

@tool
def shout(text: str) -> str:
    \"\"\"Say it louder.\"\"\"
    return text.upper()
"""
NAMES = ("gone", "served", "absent", "chat")


@pytest.fixture
async def failing(tmp_path: Path) -> AsyncIterator[tuple[ServerProcess, Path]]:
    home, log = tmp_path / "home", tmp_path / "log"
    (home / "agents").mkdir(parents=True)
    for name in NAMES:
        (home / "agents" / f"{name}.yaml").write_text(AGENT.replace("NAME", name))
    (home / "agents" / "reader.py").write_text(READER)
    (home / "agents" / "wrong.yaml").write_text("version: 1\nname: wrong\n")
    (home / "agents" / "broken.py").write_text(f"open({str(home / 'nothing')!r})\n")
    (home / "tools").mkdir()
    (home / "tools" / "broken.py").write_text("import nothing_there\n")
    (home / "tools" / "mine.py").write_text(TOOL)
    models = MODELS.replace("HOME", str(home)).replace("OUTPUT", OUTPUT)
    (home / "models.yaml").write_text(models)
    server = ForkedServer(home, log=log, folders=json.dumps([str(home)]), drain_s="1")
    await server.start()
    yield server, log
    await server.stop()


async def ask_all(client: httpx.AsyncClient, home: Path) -> dict[str, str]:
    """Ask for everything that fails; what came back, by what was asked."""
    answers = {}
    for name in NAMES:
        body = {"input": {"text": "hello"}, "stream": False}
        answers[name] = (await client.post(f"/agents/{name}/run", json=body)).text
        answers[f"load {name}"] = (await client.post(f"/models/{name}/load", json={})).text
    body = {"input": {"text": str(home / "secret.txt")}, "stream": False}
    run = (await client.post("/agents/reader/run", json=body)).json()["run"]
    run.pop("input")
    answers["reader"] = json.dumps(run)
    accept = {"Accept": "text/event-stream"}
    events = await client.get(f"/runs/{run['run_id']}/events", headers=accept)
    answers["events"] = "".join(
        line for line in events.text.splitlines() if "failed" in line and '"data"' in line
    )
    for path in ("/agents", "/tools", "/models/profile", "/ready"):
        answers[path] = json.dumps((await client.get(path)).json().get("problems", ""))
    answers["tools"] = (await client.get("/tools")).text
    answers["models"] = json.dumps(
        [{**model, "source": ""} for model in (await client.get("/models")).json()["models"]]
    )
    await client.post("/indexes", json={"name": "notes"})
    for folder in ("missing", "models.yaml"):
        body = {"folder": str(home / folder)}
        answers[folder] = (await client.post("/indexes/notes/documents", json=body)).text
    for path in ("missing", "models.yaml", "agents"):
        body = {"path": str(home / path)}
        answers[f"import {path}"] = (await client.post("/indexes/import", json=body)).text
    files = {"file": ("a.motet", b"garbage")}
    answers["upload"] = (await client.post("/indexes/import", files=files)).text
    yaml = {"yaml": "version: 1\nname: wrong\n"}
    answers["yaml"] = (await client.post("/agents", json=yaml)).text
    return answers


async def test_errors_hold_no_paths_addresses_or_output_and_the_log_has_them(
    failing: tuple[ServerProcess, Path],
) -> None:
    server, log = failing
    async with open_client(server.url) as client:
        answers = await ask_all(client, server.home)
    await server.stop()

    told = log.read_text()
    assert '"origin":"mine.py"' in answers["tools"]
    for name, answer in answers.items():
        for secret in (str(server.home), "127.0.0.1:9", OUTPUT, "site-packages", "/tmp/"):
            assert secret not in answer, (name, answer)
    for name in ("gone", "served"):
        incident = json.loads(answers[name])["error"]["details"]["incident"]
        assert f"incident {incident} (" in told
    for secret in (OUTPUT, "127.0.0.1:9", str(server.home)):
        assert secret in told
