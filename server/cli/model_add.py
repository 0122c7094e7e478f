"""`motet models add` and `pull --all`: models declared and got, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import typer
from rich.console import Console

from config.settings import Settings
from models.backends.common.sources import is_path
from models.backends.llamacpp.sources import HUB_HOSTS
from server.cli.client import connect, read_answer
from server.cli.console import say, write_json
from server.cli.model_follow import start_pull
from server.cli.model_tables import format_bytes

TRY = {
    "chat": 'motet run chat "What is a motet?"',
    "vision": "motet run describe picture=@photo.jpg",
    "image": 'motet run illustrate "topic=a lighthouse"',
    "voice": 'motet run narrate "text=Good evening."',
    "transcribe": "motet run voice_note audio=@note.wav",
}
"""How to try what a role does, where a command shows it."""


@dataclass(frozen=True)
class AddOptions:
    """What the command line says of a model to be added."""

    model: str
    name: str | None
    projector: Path | None
    task: str | None
    as_json: bool


async def add_model(settings: Settings, options: AddOptions, console: Console) -> bool:
    """Add a model, get its files, say how to try it; tell whether it can be used now."""
    async with connect(settings) as client:
        return await add_by(client, options, console)


async def add_by(client: httpx.AsyncClient, options: AddOptions, console: Console) -> bool:
    """Add a model as `add_model` does, through an open client."""
    body = {
        "model": _absolute(options.model),
        "name": options.name,
        "task": options.task,
        "projector": str(options.projector.absolute()) if options.projector else None,
    }
    sent = {key: value for key, value in body.items() if value is not None}
    added = await read_answer(await client.post("/models", json=sent))
    name = added["model"]["name"]
    if added["pull"]:
        job = await start_pull(client, name, options.as_json, console)
        if job["state"] != "done":
            _say_failed(added["model"], job, console)
            return False
    if options.as_json:
        print(write_json(added), flush=True)
        return True
    return await _say_usable(client, added, console)


def _say_failed(model: dict[str, Any], job: dict[str, Any], console: Console) -> None:
    name, error = model["name"], job["error"]
    say(console, (name, "bold"), (f" is declared, and not here: {job['state']}", "red"))
    if error:
        console.print(error["message"])
    console.print(f"`motet models pull {name}` goes on.")
    if error and error["code"] in ("hub_unreachable", "registry_unreachable"):
        console.print(_offline_hint(model))


async def _say_usable(client: httpx.AsyncClient, added: dict[str, Any], console: Console) -> bool:
    """Say what the model's role makes of it, and how to try it."""
    model, role = added["model"], added["role"]
    name = model["name"]
    license = f", license: {model['license']}" if model["license"] else ""
    say(console, (name, "bold"), (" is here", "green"), f" (back end {model['backend']}{license})")
    problem = added["problem"] or (role and await _find_problem(client, role, name))
    if problem:
        say(console, ("It cannot be loaded yet: ", "yellow"), problem)
    elif role is None:
        say(console, f"Name it in a role of models.yaml, or in an agent: `model: {name}`")
    else:
        how = f" Try:\n  {TRY[role]}" if role in TRY else ""
        say(console, f"The role `{role}` takes it from now on.{how}")
    return not problem


async def _find_problem(client: httpx.AsyncClient, role: str, name: str) -> str | None:
    """Say why a role does not take a model; None where it does."""
    roles = (await read_answer(await client.get("/models")))["roles"]
    resolved = next(each for each in roles if each["role"] == role)
    choice = resolved["choice"]
    if choice and choice["model"] == name:
        return None
    if choice is None:
        return str(resolved["error"]["message"])
    passed: dict[str, str] = {each["model"]: each["why"] for each in choice["passed_over"]}
    return passed.get(name, f"the role takes {choice['model']}; see `motet models`")


def _offline_hint(model: dict[str, Any]) -> str:
    """Say which file is missing, and how to bring it, where there is no network."""
    host, _, rest = str(model["source"]).partition("/")
    size = format_bytes(model["download_bytes"])
    if host not in HUB_HOSTS or not rest.endswith(".gguf"):
        return f"Without a network, bring its files ({size}), and add them by their path."
    owner, repository, file = rest.split("/", 2)
    return (
        f"Without a network, bring this file ({size}), and add it by its path, "
        f"`motet models add ./{Path(file).name}`:\n"
        f"  https://huggingface.co/{owner}/{repository}/resolve/main/{file}"
    )


def _absolute(model: str) -> str:
    """Write a path as the server takes it; what is no path stays as it is."""
    path = Path(model).expanduser()
    is_file = model.lower().endswith(".gguf") and path.is_file()
    return str(path.absolute()) if is_path(model) or model.startswith("~") or is_file else model


async def pull_missing(settings: Settings, yes: bool, as_json: bool, console: Console) -> bool:
    """Get everything that the roles name and is not here, once its size was agreed to.

    As JSON and without a yes, only list it.
    """
    async with connect(settings) as client:
        missing = (await read_answer(await client.get("/models/missing")))["missing"]
        if as_json and not yes:
            print(write_json(missing), flush=True)
            return True
        if not as_json:
            _say_missing(missing, console)
        if missing and not yes and not typer.confirm("Get them?"):
            return False
        jobs = [await start_pull(client, each["name"], as_json, console) for each in missing]
    for job in jobs:
        if job["state"] != "done" and not as_json:
            why = job["error"]["message"] if job["error"] else job["state"]
            say(console, (job["name"], "bold"), (" is not here: ", "red"), why)
    return all(job["state"] == "done" for job in jobs)


def _say_missing(missing: Sequence[dict[str, Any]], console: Console) -> None:
    if not missing:
        console.print("Everything that the roles name is here.")
        return
    known = sum(each["download_bytes"] or 0 for each in missing)
    for each in missing:
        size = format_bytes(each["download_bytes"]) or "of unknown size"
        source = f"{each['backend']}, {each['source']}"
        say(console, (each["name"], "bold"), f" for the role `{each['role']}`: {size} ({source})")
    least = "" if all(each["download_bytes"] for each in missing) else "at least "
    console.print(f"{least}{format_bytes(known)} in all")
