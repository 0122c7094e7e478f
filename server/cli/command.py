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
    """The settings of a command; it logs warnings only."""
    settings = load_settings(home=home)
    configure_logging("warning")
    return settings


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Do what a command does, in an event loop of its own."""
    import uvloop

    return uvloop.run(work)


def request(home: Path | None, method: str, path: str, **more: Any) -> Any:
    """The JSON that the service answers. Raises its error."""
    from server.cli.client import answer, connect

    settings = settings_of(home)

    async def asked() -> Any:
        async with connect(settings) as client:
            return await answer(await client.request(method, path, **more))

    return run(asked())


def get(home: Path | None, path: str, **more: Any) -> Any:
    return request(home, "GET", path, **more)
