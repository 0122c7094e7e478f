"""What every command needs: its options, its output, and a way to the service."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from config.logging import configure_logging
from config.settings import Settings, load_settings
from server.cli.console import plain_console

Home = Annotated[
    Path | None, typer.Option("--home", help="Data folder. Default: $MOTET_HOME or ~/.motet.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

out = plain_console()


def settings_of(home: Path | None) -> Settings:
    """Read the settings of a command, and log warnings only."""
    settings = load_settings(home=home)
    configure_logging("warning")
    return settings


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Do what a command does, in an event loop of its own."""
    from server.event_loop import run_to_end

    return run_to_end(work)


def request(home: Path | None, method: str, path: str, **more: Any) -> Any:
    """Send a request to the service and read its JSON. Raises its error."""
    return run(_request(settings_of(home), method, path, **more))


async def _request(settings: Settings, method: str, path: str, **more: Any) -> Any:
    from server.cli.client import connect, read_answer

    async with connect(settings) as client:
        return await read_answer(await client.request(method, path, **more))


def get(home: Path | None, path: str, **more: Any) -> Any:
    """Get a resource of the service as JSON. Raises its error."""
    return request(home, "GET", path, **more)
