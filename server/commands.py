"""The commands of `motet` that do more than one request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from config.errors import Invalid, MotetError, NotFound
from config.settings import Settings
from server.client import answer, connect, events
from server.console import RunPrinter, print_output, say


async def run_agent(
    settings: Settings,
    agent: str,
    inputs: list[str],
    input_json: str | None,
    thread: str | None,
    as_json: bool,
    console: Console,
) -> None:
    """Run an agent through the service, print its events, answer its questions, print its output.

    Raises the run's error.
    """
    async with connect(settings) as client:
        described = await answer(await client.get(f"/agents/{agent}"))
        body: dict[str, Any] = {"input": _input(described["input_schema"], inputs, input_json)}
        if thread:
            body |= {"thread_id": thread, "if_not_exists": "create"}
        printer = RunPrinter(console)
        await _follow(client, f"/agents/{agent}/run", body, printer, as_json)
        while printer.interrupts and not as_json and sys.stdin.isatty():
            answers = {item["id"]: _ask(item["value"], console) for item in printer.interrupts}
            printer.interrupts = []
            await _follow(
                client, f"/runs/{printer.run_id}/resume", {"answer": answers}, printer, as_json
            )
    if printer.error:
        raise MotetError(printer.error["message"], code=printer.error.get("code"))
    if as_json:
        return
    if printer.interrupts:
        _print_open(printer, console)
    else:
        print_output(console, printer.output)


async def _follow(
    client: httpx.AsyncClient, path: str, body: Any, printer: RunPrinter, as_json: bool
) -> None:
    async with client.stream("POST", path, json=body) as response:
        async for event in events(response):
            if as_json:
                print(orjson.dumps(event.data).decode(), flush=True)
            printer.show(event) if not as_json else None


def _input(schema: dict[str, Any], inputs: list[str], input_json: str | None) -> dict[str, Any]:
    if input_json is not None:
        try:
            return dict(orjson.loads(input_json))
        except (orjson.JSONDecodeError, TypeError, ValueError) as error:
            raise Invalid(f"--input is not a JSON object: {error}.") from error
    fields = schema.get("properties", {})
    given: dict[str, Any] = {}
    for text in inputs:
        name, equals, value = text.partition("=")
        if equals and name in fields:
            given[name] = _value(fields[name], value)
        elif missing := [field for field in fields if field not in given]:
            given[missing[0]] = _value(fields[missing[0]], text)
        else:
            raise Invalid(f"The agent takes no input for '{text}'. It takes: {', '.join(fields)}.")
    return given


def _value(field: dict[str, Any], text: str) -> Any:
    """The text as the field's type wants it; a text stays one."""
    if field.get("type") == "string":
        return text
    if "messages" in str(field.get("title", "")) or field.get("format") == "messages":
        return [{"role": "user", "content": text}]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _ask(value: Any, console: Console) -> Any:
    """Put a run's question to the person at the terminal; JSON is taken as such."""
    say(console, ("The run waits for you:", "yellow"))
    console.print_json(data=value) if not isinstance(value, str) else console.print(value)
    text = console.input(Text("answer> ", "yellow"))
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _print_open(printer: RunPrinter, console: Console) -> None:
    say(console, ("The run waits for a person.", "yellow"), f" Run {printer.run_id} asks:")
    for item in printer.interrupts:
        console.print_json(data=item["value"])
    console.print(
        f"Answer with: POST /runs/{printer.run_id}/resume "
        '{"answer": ...}  (motet serve must run on this data folder)'
    )


async def add_sources(settings: Settings, name: str, sources: list[str], console: Console) -> bool:
    """Index each source into `name`, made when it is new; whether every document was read.

    Without sources, the folders that the index declares.
    """
    async with connect(settings) as client:
        response = await client.get(f"/indexes/{name}")
        if response.status_code == 404 and sources:
            response = await client.post("/indexes", json={"name": name})
        index = await answer(response)
        wanted = sources or index["folders"]
        if not wanted:
            raise Invalid(f"The index '{name}' declares no folders: say what to index.")
        reports = [await _add(client, name, source, console) for source in wanted]
    return not any(report["failed"] for report in reports)


async def _add(
    client: httpx.AsyncClient, name: str, source: str, console: Console
) -> dict[str, Any]:
    report = await ingest(client, name, source, console)
    counts = ", ".join(
        f"{report[key]} {key}" for key in ("added", "changed", "unchanged", "removed")
    )
    console.print(f"{source}: {counts}, {report['passages']} passages")
    for problem in report["failed"]:
        say(console, (f"{problem['source']}: {problem['message']}", "red"))
    return report


async def ingest(
    client: httpx.AsyncClient, name: str, source: str, console: Console
) -> dict[str, Any]:
    request: dict[str, Any]
    path = Path(source).expanduser()
    if source.startswith(("http://", "https://")):
        request = {"json": {"url": source}}
    elif path.is_dir():
        request = {"json": {"folder": str(path.resolve())}}
    elif path.is_file():
        request = {"files": {"files": (path.name, path.read_bytes())}}
    else:
        raise NotFound(f"There is no folder or file '{source}'.", code="source_not_found")
    stream = client.stream(
        "POST",
        f"/indexes/{name}/documents",
        headers={"Accept": "text/event-stream"},
        **request,
    )
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("indexing", total=None)
        async with stream as response:
            async for event in events(response):
                if event.type == "progress":
                    bar.update(
                        task,
                        description=f"{event.data['files_done']}/{event.data['files_total']} files",
                        completed=event.data["passages_done"],
                        total=event.data["passages_total"] or None,
                    )
                elif event.type == "failed":
                    raise MotetError(event.data["message"], code=event.data["code"])
                elif event.type == "finished":
                    return event.data
    raise MotetError("The server ended the answer early.", code="bad_answer")
