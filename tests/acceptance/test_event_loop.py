"""No request is held up by what another one needs for the first time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.server import ServerProcess
from tests.support.import_watching_server import LINE
from tests.support.ollama import Ollama
from tests.support.service import TIMEOUT, add_documents, run_to_end

FEW = 3
"""Libraries import a module or two of their own when a function is first called."""
MODELS = """
models:
  cloud: {{task: chat, backend: openai, source: talker, options: {{base_url: "{url}/v1"}}}}
  local: {{task: chat, backend: ollama, source: talker}}
"""
AGENT = """
version: 1
name: {name}
description: Answers.
input: {{question: string}}
nodes:
  answer: {{type: text, model: {model}, prompt: "{{{{ question }}}}", save: answer}}
output: [answer]
"""


@pytest.fixture(scope="module")
def ollama() -> Iterator[Ollama]:
    double = Ollama()
    double.add("talker", "Good day.")
    double.start()
    yield double
    double.stop()


@pytest.fixture
async def server(tmp_path: Path, ollama: Ollama) -> AsyncIterator[ServerProcess]:
    (tmp_path / "models.yaml").write_text(MODELS.format(url=ollama.url))
    server = ServerProcess(
        tmp_path,
        program="tests.support.import_watching_server",
        log=tmp_path / "log",
        ollama_url=ollama.url,
    )
    yield server
    await server.stop()


async def test_first_use_of_each_part_imports_nothing_heavy_on_the_event_loop(
    server: ServerProcess, tmp_path: Path
) -> None:
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT) as client:
        await client.post("/indexes", json={"name": "docs"})
        sky = {"text": "# Sky\n\nThe sky is blue by day.", "source": "sky.md"}
        await add_documents(client, "docs", json=sky)
    await server.stop()  # what ingesting has imported is not there for the search
    (tmp_path / "log").unlink()

    await server.start()
    at_start = _read_imports(tmp_path / "log")
    async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT) as client:
        search = {"query": "colour of the sky", "highlight": True}
        found = (await client.post("/indexes/docs/search", json=search)).json()["passages"]
        similar = f"/indexes/docs/documents/{found[0]['document']}/similar"
        assert (await client.get(similar)).status_code == 200
        await run_to_end(client, "ask", {"question": "What colour is the sky?", "index": "docs"})
        for model in ("cloud", "local"):
            yaml = AGENT.format(name=f"by-{model}", model=model)
            assert (await client.post("/agents", json={"yaml": yaml})).status_code == 201
            run = await run_to_end(client, f"by-{model}", {"question": "Well?"})
            assert run["output"] == {"answer": "Good day."}
        assert (await client.get("/agents/ask/picture.svg")).status_code == 200
        assert (await client.post("/indexes/docs/calibrate")).status_code < 500

    imported = _read_imports(tmp_path / "log") - at_start
    assert {name: count for name, count in imported.items() if count > FEW} == {}


def _read_imports(log: Path) -> Counter[str]:
    """How many modules each module that was asked for on the event loop has imported."""
    lines = [line for line in log.read_text().splitlines() if line.startswith(LINE)]
    return Counter(line.removeprefix(LINE).split()[0] for line in lines)
