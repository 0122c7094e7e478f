"""The commands of `motet models` that stay and show what happens."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from config.settings import Settings
from server.cli.client import SSE_TYPE, connect, read_answer, read_events
from server.cli.console import say, write_json
from server.cli.model_tables import format_bytes

COLORS = {"ready": "green", "load_failed": "red", "refused": "red", "crashed": "red"}
SHOWN_APART = ("seq", "time", "event", "model", "generation", "name", "backend", "source")


async def watch_models(
    settings: Settings, after: int | None, as_json: bool, console: Console
) -> None:
    """Print what happens to models, a line for each event, until the service ends."""
    where = {} if after is None else {"after": str(after)}
    async with (
        connect(settings) as client,
        client.stream("GET", "/models/events", params=where) as response,
    ):
        async for event in read_events(response):
            if as_json:
                print(write_json(event.data), flush=True)
            else:
                _print(event.data, console)


async def pull_model(settings: Settings, name: str, as_json: bool, console: Console) -> bool:
    """Pull a model, show how far it is, and give whether it is here then.

    Interrupted, the pull is cancelled; what it got is kept for the next one.
    """
    async with connect(settings) as client:
        job = await start_pull(client, name, as_json, console)
    if not as_json:
        _say_end(job, console)
    return bool(job["state"] == "done")


async def start_pull(
    client: httpx.AsyncClient, name: str, as_json: bool, console: Console
) -> dict[str, Any]:
    """Start a pull, or go on with it, show how far it is, and return its job when it has ended.

    Interrupted, the pull is cancelled.
    """
    # Known before the answer: the pull may be under way already when that is interrupted.
    address = f"/models/pulls/{quote(name, safe='/:@')}"
    try:
        started = await client.post("/models/pull", json={"name": name})
        job: dict[str, Any] = await read_answer(started)
        async with client.stream("GET", address, headers={"Accept": SSE_TYPE}) as response:
            with _bar(console, as_json) as bar:
                async for event in read_events(response):
                    job = event.data
                    _advance(bar, job, as_json)
    except asyncio.CancelledError:
        await client.delete(address)
        say(console, f"stopped; `motet models pull {name}` goes on where it was")
        raise
    return job


def _bar(console: Console, as_json: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    rates = (TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, *rates, console=console, disable=as_json, transient=True)


def _advance(bar: Progress, job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(write_json(job), flush=True)
    if not bar.tasks:
        bar.add_task(job["name"], total=None)
    [task] = bar.task_ids
    bar.update(
        task,
        description=f"{job['name']}: {job['status'] or job['state']}",
        completed=job["completed_bytes"],
        total=job["total_bytes"] or None,
    )


def _say_end(job: dict[str, Any], console: Console) -> None:
    if job["state"] == "done":
        how = f": name it in a role of models.yaml, or in an agent, `model: {job['name']}`"
        say(console, (job["name"], "bold"), (" is here", "green"), how)
    else:
        why = job["error"]["message"] if job["error"] else ""
        say(console, (job["name"], "bold"), (f" is not here: {job['state']}. ", "red"), why)


def _print(event: dict[str, Any], console: Console) -> None:
    at = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    name, kind = event.get("model", ""), event["event"]
    more = " ".join(
        f"{key}={_value(key, value)}"
        for key, value in event.items()
        if value and key not in SHOWN_APART
    )
    say(console, (f"{at} ", "dim"), (kind, COLORS.get(kind, "cyan")), f" {name} ", (more, "dim"))


def _value(key: str, value: Any) -> str:
    if key in ("memory", "needs") and isinstance(value, dict):
        return ",".join(f"{device}:{format_bytes(taken)}" for device, taken in value.items())
    return str(value)
