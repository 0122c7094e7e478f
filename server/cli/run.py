"""`motet run`: an agent, followed to its end."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import orjson
from rich.console import Console
from rich.text import Text

from config.errors import Invalid, MotetError, NotFound, Unavailable, nearest
from config.json_values import parse_json
from config.settings import Settings
from server.cli.artifact_files import (
    FILE_FORMATS,
    address_of,
    artifacts_in,
    read_input_text,
    save,
    upload_input_files,
)
from server.cli.client import connect, read_answer, read_events
from server.cli.console import say, write_json, write_text
from server.cli.file_names import safe_name
from server.cli.run_output import RunPrinter, print_output
from server.data_folder import server_address


@dataclass(frozen=True)
class RunOptions:
    """What `motet run` was asked to do.

    `inputs` are texts and `name=value` pairs, `input_json` is the whole input instead. The files
    of the output are written to `save_to`.
    """

    agent: str
    inputs: Sequence[str] = ()
    input_json: str | None = None
    thread: str | None = None
    as_json: bool = False
    save_to: Path | None = None


NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
"""What may be a field's name, misspelt, before a `=`."""
Outcome = Literal["finished", "waiting"]


async def run_agent(settings: Settings, options: RunOptions, console: Console) -> Outcome:
    """Run an agent through the service, print its events, answer its questions, print its output.

    Returns whether it finished, or waits for a person. Without a folder to save to, and without a
    service that goes on running, the files of the output are saved in the data folder. Raises the
    run's error, and `Unavailable` (`invalid_response`) where nothing tells how it ended.
    """
    address = (settings.server_url or server_address(settings.home) or "").rstrip("/")
    printer = RunPrinter(console, address)
    async with connect(settings) as client:
        body = await _request_body(client, options)
        await _follow(client, f"/agents/{options.agent}/run", body, printer, options.as_json)
        if not options.as_json and sys.stdin.isatty():
            await _answer_interrupts(client, printer, console)
        unsaved = None if address else settings.home / "saved" / safe_name(printer.run_id, "run")
        locations = await _locate(client, printer.output, options.save_to or unsaved, address)
    if printer.error:
        raise MotetError.from_dict(printer.error)
    if not printer.ended:
        raise _cut_off(printer.run_id)
    if printer.interrupts:
        if not options.as_json:
            _print_interrupts(printer, console)
        return "waiting"
    if not options.as_json:
        print_output(console, printer.output, locations)
    return "finished"


async def _request_body(client: httpx.AsyncClient, options: RunOptions) -> dict[str, Any]:
    described = await read_answer(await client.get(f"/agents/{options.agent}"))
    schema = described["input_schema"]
    values = parse_input(schema, options.inputs, options.input_json)
    body: dict[str, Any] = {"input": await upload_input_files(client, schema, values)}
    if options.thread:
        body |= {"thread_id": options.thread, "if_not_exists": "create"}
    return body


async def _follow(
    client: httpx.AsyncClient, path: str, body: Any, printer: RunPrinter, as_json: bool
) -> None:
    async with client.stream("POST", path, json=body) as response:
        async for event in read_events(response):
            if as_json:
                print(write_json(event.data), flush=True)
                printer.note(event)
            else:
                printer.show(event)


def _cut_off(run_id: str) -> Unavailable:
    return Unavailable(
        f"The service ended its answer before run {run_id} did. What became of it is told by "
        f"GET /runs/{run_id}.",
        code="invalid_response",
    )


async def _answer_interrupts(
    client: httpx.AsyncClient, printer: RunPrinter, console: Console
) -> None:
    """Ask the person at the terminal whatever the run asks, until it asks no more."""
    while printer.interrupts:
        answers = {item["id"]: _ask(item["value"], console) for item in printer.interrupts}
        printer.interrupts, printer.ended = [], False
        resume = f"/runs/{printer.run_id}/resume"
        await _follow(client, resume, {"answer": answers}, printer, as_json=False)


async def _locate(
    client: httpx.AsyncClient, output: Any, folder: Path | None, address: str
) -> dict[str, str]:
    """Say where each artifact of an output can be opened: saved in `folder`, or by its URL."""
    locations = {}
    for artifact in artifacts_in(output):
        location = f"{address}{address_of(artifact)}"
        if folder:
            # A model may have made the artifact up: the rest of the output is printed all the same.
            try:
                location = str(await save(client, artifact, folder))
            except NotFound:
                location = f"{location} (not saved: there is no such artifact)"
        locations[artifact["id"]] = location
    return locations


def parse_input(
    schema: Mapping[str, Any], inputs: Sequence[str], input_json: str | None
) -> dict[str, Any]:
    """Parse an agent's input: `name=value` pairs, and texts for the fields in their order.

    Raises `Invalid` for a name that no field has, for a field given twice, for a text that no field
    is left for, and as `read_input_text` does.
    """
    if input_json is not None:
        if inputs:
            raise Invalid(f"--input is the whole input; '{inputs[0]}' beside it is not read.")
        try:
            whole = parse_json(input_json, "input")
        except (orjson.JSONDecodeError, ValueError) as error:
            raise Invalid(f"--input is not a JSON object: {error}.") from error
        if not isinstance(whole, dict):
            raise Invalid("--input is not a JSON object.")
        return whole
    fields = schema.get("properties", {})
    values: dict[str, Any] = {}
    for text in inputs:
        name, equals, value = text.partition("=")
        if equals and name in values:
            raise Invalid(f"'{name}' is given twice.", details={"field": name})
        if equals and name in fields:
            values[name] = _parse_pair(name, fields[name], value)
        elif equals and NAME.fullmatch(name):
            raise _unknown_name(name, text, fields)
        elif missing := [field for field in fields if field not in values]:
            values[missing[0]] = _parse_value(fields[missing[0]], text)
        else:
            raise Invalid(f"The agent takes no input for '{text}'. It takes: {', '.join(fields)}.")
    return values


def _unknown_name(name: str, text: str, fields: Mapping[str, Any]) -> Invalid:
    hint = f"The agent has no input '{name}'. {nearest(name, fields)}"
    if fields:
        # A text may begin so itself: with a field's name before it, it is taken as it is.
        hint += f" If this is a value, write {next(iter(fields))}={text!r}."
    return Invalid(hint, details={"field": name})


def _parse_pair(name: str, field: Mapping[str, Any], value: str) -> Any:
    """Parse what stands behind `name=`: `@file` is the file's text, `@@` a text with one `@`.

    A field that takes a file keeps the name: the file is uploaded later.
    """
    if value.startswith("@@"):
        return _parse_value(field, value[1:])
    if value.startswith("@") and field.get("format") not in FILE_FORMATS:
        return _parse_value(field, read_input_text(Path(value[1:]), name))
    return _parse_value(field, value)


def _parse_value(field: Mapping[str, Any], text: str) -> Any:
    """Parse a text as the field's type needs it; for a field of text it stays as it is."""
    types = _types(field)
    if types == {"string"}:
        return text
    if "messages" in str(field.get("title", "")) or field.get("format") == "messages":
        return [{"role": "user", "content": text}]
    value = _parse_json(text)
    # Text where the field takes text and nothing like this value: `12` for a text or null.
    return text if "string" in types and not types.intersection(_types_of(value)) else value


def _types(field: Mapping[str, Any]) -> set[str]:
    """Return the JSON types that a field's schema names; none where it takes anything."""
    parts = [field, *field.get("anyOf", ()), *field.get("oneOf", ())]
    types = [part.get("type", []) for part in parts if isinstance(part, Mapping)]
    return {name for each in types for name in ([each] if isinstance(each, str) else each)}


def _types_of(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, int):
        return "integer", "number"
    kinds = {dict: "object", list: "array", float: "number", type(None): "null"}
    return (kinds.get(type(value), "string"),)


def _parse_json(text: str) -> Any:
    """Parse JSON; what is none is a text."""
    try:
        return parse_json(text)
    except orjson.JSONDecodeError:
        return text


def _ask(value: Any, console: Console) -> Any:
    """Put a run's question to the person at the terminal."""
    say(console, ("The run waits for you:", "yellow"))
    console.print_json(data=value) if not isinstance(value, str) else write_text(console, value)
    return _parse_json(console.input(Text("answer> ", "yellow")))


def _print_interrupts(printer: RunPrinter, console: Console) -> None:
    say(console, ("The run waits for a person.", "yellow"), f" Run {printer.run_id} asks:")
    for item in printer.interrupts:
        console.print_json(data=item["value"])
    answer = f"motet runs resume {printer.run_id} --answer JSON"
    console.print(f"Answer with: {answer}", soft_wrap=True)
