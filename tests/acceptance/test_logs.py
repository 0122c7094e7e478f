"""What a server writes in its log at info: nothing that somebody sent or was answered, no secret.

Everything that is sent here holds a canary, which then must not be in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.forked import ForkedServer
from tests.support.service import open_client, shouting_agent
from tests.support.site import Site, serving

CANARY = "k4n4ry"
MODELS = """\
models:
  remote:
    backend: openai
    source: maker
    task: chat
    options: {{base_url: "http://user:{canary}@127.0.0.1:{port}/v1"}}
  gone:
    backend: openai
    source: maker
    task: chat
    options: {{base_url: "http://user:{canary}@127.0.0.1:1/v1?key={canary}"}}
roles:
  chat: [remote]
"""
FAILING = """\
import warnings
from typing_extensions import TypedDict
from langgraph.graph import END, START, StateGraph

class State(TypedDict, total=False):
    text: str

async def node(state: State):
    warnings.warn(f"odd: {state['text']}")
    raise RuntimeError(f"no answer to {state['text']} at https://api.example/x?key={state['text']}")

def build():
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph
"""
ENDLESS = """\
import asyncio
from typing_extensions import TypedDict
from langgraph.graph import START, StateGraph

class State(TypedDict, total=False):
    x: int

async def wait(state: State):
    await asyncio.Event().wait()

def build():
    graph = StateGraph(State)
    graph.add_node("wait", wait)
    graph.add_edge(START, "wait")
    return graph
"""
AGENTS = {
    "writer": """\
version: 1
name: writer
description: Write.
input: {text: string}
nodes:
  write: {type: text, prompt: "{{ text }}", save: answer, retry: {attempts: 2, backoff_s: 0.01}}
output: answer
""",
    "gone": """\
version: 1
name: gone
description: Write with a model that is not there.
input: {text: string}
nodes:
  write: {type: text, model: gone, prompt: "{{ text }}", save: answer}
output: answer
""",
    "asks": """\
version: 1
name: asks
description: Ask a person.
input: {text: string}
nodes:
  ask: {type: human, message: "{{ text }}", save: answer}
output: answer
""",
    "breaks": """\
version: 1
name: breaks
description: Call a tool that breaks.
input: {text: string}
nodes:
  call: {type: tool, tool: broken, arguments: {text: "{{ text }}"}, save: answer}
output: answer
""",
    "fetch": """\
version: 1
name: fetch
description: Fetch.
input: {url: string}
nodes:
  fetch: {type: tool, tool: web, arguments: {url: "{{ url }}"}, save: answer}
output: answer
""",
}
TOOL = """\
from tools import tool

@tool
def broken(text: str) -> str:
    \"\"\"Break.\"\"\"
    raise ValueError(text)
"""


class LoggedServer(NamedTuple):
    """A server, a client of it, and the file that its log goes to."""

    server: ServerProcess
    client: httpx.AsyncClient
    log: Path

    def lines(self, word: str = "") -> list[str]:
        """The lines of the log that hold a word."""
        return [line for line in self.log.read_text().splitlines() if word in line]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    error = f'{{"error": {{"message": "{CANARY} is refused", "type": "server_error"}}}}'.encode()
    site = Site()
    site.page("/v1/models", b'{"data": [{"id": "maker"}]}', "application/json")
    site.page("/v1/chat/completions", error, "application/json", status="500 Error")
    site.page(f"/hook/{CANARY}?token={CANARY}", b"no", status="500 Error")
    site.page(f"/page?token={CANARY}", f"<p>{CANARY}</p>".encode(), "text/html")
    site.redirect(f"/moved?token={CANARY}", f"/nowhere?token={CANARY}")
    async with serving(site):
        yield site


@pytest.fixture
async def logged(tmp_path: Path, site: Site) -> AsyncIterator[LoggedServer]:
    home = tmp_path / "home"
    for name, text in AGENTS.items():
        (home / "agents").mkdir(parents=True, exist_ok=True)
        (home / "agents" / f"{name}.yaml").write_text(text)
    (home / "agents" / "endless.py").write_text(ENDLESS)
    (home / "agents" / "failing.py").write_text(FAILING)
    (home / "tools").mkdir()
    (home / "tools" / "broken.py").write_text(TOOL)
    (home / "models.yaml").write_text(MODELS.format(canary=CANARY, port=site.port))
    networks = '["127.0.0.1/32"]'
    log = tmp_path / "log"
    server = ForkedServer(home, log=log, log_level="info", drain_s="1", allowed_networks=networks)
    await server.start()
    async with open_client(server.url) as client:
        yield LoggedServer(server, client, log)
    await server.stop()


async def send_all(client: httpx.AsyncClient, site: Site) -> list[httpx.Response]:
    """Send canaries wherever something is taken, most of it to be refused."""
    webhook = site.url(f"/hook/{CANARY}?token={CANARY}")
    urls = [site.url(f"/{name}?token={CANARY}") for name in ("page", "moved", "missing")]
    urls += [f"http://user:{CANARY}@127.0.0.1:1/x?token={CANARY}", f"ftp://{CANARY}/{CANARY}"]
    text = {"text": CANARY}
    runs = [
        ("writer", text, {}),
        ("gone", text, {}),
        ("failing", text, {}),
        ("asks", text, {"webhook": webhook}),
        ("breaks", text, {"webhook": webhook}),
        ("asks", {"texte": CANARY}, {}),
        *(("fetch", {"url": url}, {}) for url in urls),
    ]
    sent = [
        await client.post(f"/agents/{agent}/run", json={"input": input, "stream": False, **more})
        for agent, input, more in runs
    ]
    await client.post("/indexes", json={"name": "notes"})
    for url in urls:
        sent.append(await client.post("/artifacts", json={"url": url}))
        sent.append(await client.post("/indexes/notes/documents", json={"url": url}))
        crawl = {"url": url, "crawl": {"depth": 1}, "background": True}
        sent.append(await client.post("/indexes/notes/documents", json=crawl))
    document = {"text": CANARY, "source": f"{CANARY}.md"}
    sent.append(await client.post("/indexes/notes/documents", json=document))
    sent.append(await client.post("/indexes/notes/search", json={"query": CANARY}))
    sent.append(await client.get(f"/runs?status={CANARY}&token={CANARY}"))
    sent.append(await client.get(f"/{CANARY}?token={CANARY}"))
    sent.append(await client.post("/agents", json={"yaml": shouting_agent("x") + f"{CANARY}: 1\n"}))
    sent.append(await client.post("/agents", content=f"{{{CANARY}"))
    sent.append(await client.post("/agents/asks/run", content=f'{{"input": "{CANARY}'))
    for name in (f"hf/{CANARY}", f"https://user:{CANARY}@h/{CANARY}", f"ollama/{CANARY}"):
        sent.append(await client.post("/models/pull", json={"name": name}))
    sent.append(await client.post("/models/gone/load", json={}))
    return sent


async def test_nothing_that_was_sent_is_in_the_log_at_info(
    logged: LoggedServer, site: Site
) -> None:
    sent = await send_all(logged.client, site)
    await logged.server.stop()

    assert {answer.status_code // 100 for answer in sent} >= {2, 4}
    assert [answer.text for answer in sent if "internal_error" in answer.text] == []
    assert logged.lines("failed"), "the log is of no use"
    assert logged.lines(CANARY) == []
    assert logged.lines("Traceback") == []


async def leave_requests(server: ServerProcess) -> None:
    """Open requests with a part of their bodies, and close the connections."""
    host, port = server.url.removeprefix("http://").split(":")
    for path, kind, part in (
        ("/agents/endless/run", "application/json", f'{{"input": "{CANARY}'),
        ("/artifacts", "multipart/form-data; boundary=x", f"--x\r\nContent-Disposition: {CANARY}"),
        ("/agents", "application/yaml", f"{CANARY}: "),
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path}?token={CANARY} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        writer.write(f"{head}Content-Length: 5000\r\n\r\n{part}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def test_client_that_leaves_is_one_line_at_most(logged: LoggedServer) -> None:
    await leave_requests(logged.server)
    body = {"input": {"x": 1}}
    async with logged.client.stream("POST", "/agents/endless/run", json=body) as stream:
        run_id = stream.headers["content-location"].rpartition("/")[2]
        await anext(stream.aiter_lines())
    async with logged.client.stream("GET", f"/runs/{run_id}/events") as stream:
        await anext(stream.aiter_lines())
    cancelled = await logged.client.get(f"/runs/{run_id}/events")  # to their end
    assert "run.cancelled" in cancelled.text
    await logged.server.stop()

    told = [line.split(" ", 4)[-1] for line in logged.lines(run_id)]
    assert len(told) == 2, told
    assert "accepted" in told[0]
    assert "cancelled: client" in told[1]
    problems = [line for line in logged.lines() if " INFO " not in line and "was open" not in line]
    assert problems == []


async def test_retry_is_one_line_without_what_the_model_said(logged: LoggedServer) -> None:
    body = {"input": {"text": CANARY}, "stream": False}
    await logged.client.post("/agents/writer/run", json=body)

    (retry,) = logged.lines("again")
    assert retry.endswith("write failed (attempt 1), again: model_failed")
