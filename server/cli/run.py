"""`motet run`: an agent, followed to its end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.text import Text

from config.errors import Invalid, MotetError
from config.settings import Settings
from server.cli.artifact_files import artifacts_in, save, with_files
from server.cli.client import answer, connect, events
from server.cli.console import RunPrinter, print_output, say
from server.data_folder import server_address


async def run_agent(
    settings: Settings,
    agent: str,
    inputs: list[str],
    input_json: str | None,
    thread: str | None,
    as_json: bool,
    console: Console,
    save_to: Path | None = None,
) -> None:
    """Run an agent through the service, print its events, answer its questions, print its output.

    The files that its output names are written to `save_to`; without a service that goes on
    running, to a folder of the home. Raises the run's error.
    """
    address = settings.server_url or server_address(settings.home) or ""
    async with connect(settings) as client:
        described = await answer(await client.get(f"/agents/{agent}"))
        schema = described["input_schema"]
        given = await with_files(client, schema, _input(schema, inputs, input_json))
        body: dict[str, Any] = {"input": given}
        if thread:
            body |= {"thread_id": thread, "if_not_exists": "create"}
        printer = RunPrinter(console, address.rstrip("/"))
        await _follow(client, f"/agents/{agent}/run", body, printer, as_json)
        while printer.interrupts and not as_json and sys.stdin.isatty():
            answers = {item["id"]: _ask(item["value"], console) for item in printer.interrupts}
            printer.interrupts = []
            await _follow(
                client, f"/runs/{printer.run_id}/resume", {"answer": answers}, printer, as_json
            )
        folder = save_to or (None if address else settings.home / "saved" / printer.run_id)
        places = await _places(client, printer.output, folder, address.rstrip("/"))
    if printer.error:
        raise MotetError.from_dict(printer.error)
    if as_json:
        return
    if printer.interrupts:
        _print_open(printer, console)
    else:
        print_output(console, printer.output, places)


async def _places(
    client: httpx.AsyncClient, output: Any, folder: Path | None, address: str
) -> dict[str, str]:
    """Where each artifact of an output can be opened; in `folder`, if one is given."""
    found = {}
    for artifact in artifacts_in(output):
        if folder:
            found[artifact["id"]] = str(await save(client, artifact, folder))
        else:
            found[artifact["id"]] = f"{address}{artifact['url']}"
    return found


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
