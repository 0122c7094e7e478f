"""`motet agents`: the list of agents, and their saved versions."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from config.errors import Invalid
from server.cli.command import AsJson, Home, get, out, request
from server.cli.console import listing, say, write_text

agents_app = typer.Typer(help="List the agents, and bring back their versions.")

Name = Annotated[str, typer.Argument(help="An agent's name.")]
Reference = Annotated[str, typer.Argument(help="An agent's version, as name@version.")]


@agents_app.callback(invoke_without_command=True)
def agents(context: typer.Context, home: Home = None, as_json: AsJson = False) -> None:
    """List the agents: shipped, your own, Python graphs."""
    if context.invoked_subcommand is not None:
        return
    listed = get(home, "/agents")
    if as_json:
        out.print_json(data=listed)
        return
    rows = ((each["name"], each["origin"], each["description"]) for each in listed["agents"])
    out.print(listing(("agent", "origin", "description"), rows))
    for problem in listed["problems"]:
        say(out, ("not loaded: ", "red"), problem["message"])


@agents_app.command()
def versions(agent: Name, home: Home = None, as_json: AsJson = False) -> None:
    """List the saved versions of an agent, newest first; `motet run name@version` runs one."""
    listed = get(home, f"/agents/{quote(agent, safe='')}/versions")
    if as_json:
        out.print_json(data=listed)
        return
    rows = (
        (each["version"], each["created_at"], "as the file is" if each["current"] else "")
        for each in listed["versions"]
    )
    out.print(listing(("version", "saved", ""), rows))


@agents_app.command()
def diff(
    version: Reference,
    to: Annotated[
        str | None, typer.Argument(help="Another version's hash. Default: the agent as it is now.")
    ] = None,
    home: Home = None,
) -> None:
    """Compare a version of an agent with another one, or with the agent as it is now."""
    parameters = {"to": to.rpartition("@")[2]} if to else {}
    compared: dict[str, Any] = get(home, f"{_path_of(version)}/diff", params=parameters)
    write_text(out, compared["diff"], end="")


@agents_app.command()
def restore(version: Reference, home: Home = None) -> None:
    """Write a version into the agent's file again; the agents that it calls stay as they are."""
    restored = request(home, "POST", f"{_path_of(version)}/restore")
    say(out, f"Agent '{restored['name']}' is version {restored['version']}.")


def _path_of(reference: str) -> str:
    name, _, version = reference.partition("@")
    if not name or not version:
        raise Invalid(f"'{reference}' names no version: write it as name@version.")
    return f"/agents/{quote(name, safe='')}/versions/{quote(version, safe='')}"
