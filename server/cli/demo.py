"""`motet demo`: the main job, shown from end to end on this machine, in a minute."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.text import Text

from config.errors import MotetError, NotFound, Unavailable
from config.settings import Settings, load_settings
from server.cli.client import TIMEOUT, read_answer, read_events
from server.cli.console import say
from server.cli.ingest import IngestSource, ingest
from server.cli.model_add import AddOptions, add_by
from server.cli.model_tables import print_roles
from server.cli.run_output import RunPrinter, print_output
from server.data_folder import server_address
from server.owner_token import owner_headers
from server.private_folder import prepare_private_folder

ROOT = Path(__file__).parents[2]
QUESTION = "What happens to a run when the server is killed?"
START_TIMEOUT_S = 60.0
CONTEXT = 160


async def demonstrate(
    folder: Path | None, question: str | None, model: str | None, console: Console
) -> bool:
    """Index documents, start the service, ask over HTTP, show the answer's sources, stop it.

    A `model` is added before, so that it writes the answer; where it cannot be had, nothing is
    asked, and this returns False. Uses the server of the data folder where one runs, and leaves
    that one running. Raises `NotFound` for a folder that is not there.
    """
    settings = load_settings()
    if folder and not folder.is_dir():
        raise NotFound(f"There is no folder '{folder}'.", code="file_not_found")
    documents = (folder or ROOT / "docs").resolve()
    async with _service(settings, console) as url:
        headers = owner_headers(settings.home)
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False
        ) as client:
            if model and not await _add(client, model, console):
                return False
            print_roles((await read_answer(await client.get("/models")))["roles"], console)
            await _index(client, documents, console)
            if question is None:
                question = QUESTION if folder is None else await _first_question(client)
            await _ask(client, url, question, console)
    say(
        console,
        "\nGo on: ",
        ("make serve", "bold"),
        " starts the service on http://127.0.0.1:8000, then\n"
        "  curl -N -X POST localhost:8000/agents/ask/run -H 'content-type: application/json' \\\n"
        f'    -d \'{{"input": {{"question": "{QUESTION}"}}}}\'\n'
        "and http://127.0.0.1:8000/docs lists everything it can do.",
    )
    return True


async def _add(client: httpx.AsyncClient, model: str, console: Console) -> bool:
    say(console, "   Adding the language model ", (model, "bold"), ".")
    options = AddOptions(model, name=None, projector=None, task=None, as_json=False)
    return await add_by(client, options, console)


@asynccontextmanager
async def _service(settings: Settings, console: Console) -> AsyncIterator[str]:
    if url := server_address(settings.home):
        say(console, ("1.", "bold"), f" The service runs already at {url}.")
        yield url
        return
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "serve", "--port", "0", "--log-level", "warning"),
        cwd=ROOT,
    )
    try:
        url = await asyncio.wait_for(_ready(settings, process), START_TIMEOUT_S)
        took_s = time.perf_counter() - begun
        say(console, ("1.", "bold"), f" The service is up at {url} ({took_s:.1f} s).")
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), START_TIMEOUT_S)
        say(console, ("Stopped the service.", "dim"))


async def _ready(settings: Settings, process: asyncio.subprocess.Process) -> str:
    from watchfiles import awatch

    prepare_private_folder(settings.home)
    ended = asyncio.create_task(process.wait())
    stop = asyncio.Event()
    ended.add_done_callback(lambda _: stop.set())
    try:
        async for _ in awatch(
            settings.home,
            step=10,
            debounce=50,
            recursive=False,
            stop_event=stop,
            yield_on_timeout=True,
            rust_timeout=500,
        ):
            if url := server_address(settings.home):
                return url
    finally:
        ended.cancel()
    raise Unavailable(
        "The service did not start; what it said stands above.", code="service_start_failed"
    )


async def _index(client: httpx.AsyncClient, documents: Path, console: Console) -> None:
    shown = os.path.relpath(documents)
    say(console, ("2.", "bold"), f" Indexing {shown} into index 'docs'.")
    response = await client.get("/indexes/docs")
    if response.status_code == 404:
        await read_answer(await client.post("/indexes", json={"name": "docs"}))
    report = await ingest(client, "docs", IngestSource(str(documents)), console)
    console.print(
        f"   {report['added']} documents added, {report['changed']} changed, "
        f"{report['unchanged']} unchanged, {report['passages']} passages."
    )


async def _first_question(client: httpx.AsyncClient) -> str:
    listed = await read_answer(await client.get("/indexes/docs/documents", params={"limit": 1}))
    titles = [document["title"] for document in listed["documents"]]
    return f"What is {titles[0]}?" if titles else QUESTION


async def _ask(client: httpx.AsyncClient, url: str, question: str, console: Console) -> None:
    say(console, ("3.", "bold"), f" POST {url}/agents/ask/run: ", (question, "italic"))
    printer = RunPrinter(console)
    body = {"input": {"question": question, "index": "docs"}}
    async with client.stream("POST", "/agents/ask/run", json=body) as response:
        async for event in read_events(response):
            printer.show(event)
    if printer.error:
        raise MotetError.from_dict(printer.error)
    say(console, ("4.", "bold"), " The answer, and where each sentence stands:")
    print_output(console, {key: printer.output.get(key) for key in ("answer", "citations")})
    if citations := printer.output.get("citations"):
        await _open(client, citations, console)


async def _open(
    client: httpx.AsyncClient, citations: list[dict[str, Any]], console: Console
) -> None:
    """Show that the citations of the first document open at their place in it."""
    first = citations[0]
    same = [each for each in citations if each["document"] == first["document"]]
    span = {
        "start": min(each["start"] for each in same),
        "end": max(each["end"] for each in same),
        "hash": first["hash"],
    }
    address = f"/indexes/{first['index']}/documents/{first['document']}/citation"
    shown = await read_answer(await client.get(address, params=span))
    say(console, ("5.", "bold"), f" What is cited, opened in {first['source']}:")
    parts = (shown["before"][-CONTEXT:], "dim"), (shown["text"], "reverse")
    console.print(Text.assemble(*parts, (shown["after"][:CONTEXT], "dim")))
