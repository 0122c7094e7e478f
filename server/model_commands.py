"""The commands of `motet models` that stay and watch."""

from __future__ import annotations

import time
from typing import Any

import orjson
from rich.console import Console

from config.settings import Settings
from server.client import connect, events
from server.console import say
from server.model_tables import size

COLORS = {"ready": "green", "load_failed": "red", "refused": "red", "lost": "red"}
KNOWN = ("seq", "time", "event", "model", "generation")


async def watch_models(
    settings: Settings, after: int | None, as_json: bool, console: Console
) -> None:
    """Print what happens to models, a line for each event, until the service ends."""
    where = {} if after is None else {"after": str(after)}
    async with (
        connect(settings) as client,
        client.stream("GET", "/models/events", params=where) as response,
    ):
        async for event in events(response):
            if as_json:
                print(orjson.dumps(event.data).decode(), flush=True)
            else:
                _print(event.data, console)


def _print(event: dict[str, Any], console: Console) -> None:
    at = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    name, kind = event.get("model", ""), event["event"]
    more = " ".join(
        f"{key}={_value(key, value)}" for key, value in event.items() if key not in KNOWN
    )
    say(console, (f"{at} ", "dim"), (kind, COLORS.get(kind, "cyan")), f" {name} ", (more, "dim"))


def _value(key: str, value: Any) -> str:
    if key in ("memory", "needs") and isinstance(value, dict):
        return ",".join(f"{device}:{size(taken)}" for device, taken in value.items())
    return str(value)
