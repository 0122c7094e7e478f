"""`motet check` and `motet draw`: agents looked at without a service."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from config.errors import Invalid, NotFound
from config.settings import Settings
from graphs.agent import Agent
from graphs.catalog import Catalog
from server.cli.console import say


def check_file(settings: Settings, file: Path, console: Console) -> bool:
    """Print every problem of an agent's file; gives whether there is none."""
    if not file.is_file():
        raise NotFound(f"There is no file '{file}'.", code="file_not_found")
    try:
        agent = _from_file(settings, file)
    except Invalid as error:
        problems = error.details.get("problems") or [{"message": error.message}]
        for problem in problems:
            position = ":".join(str(problem[key]) for key in ("line", "column") if key in problem)
            where = f"{file}:{position}: " if position else f"{file}: "
            field = f"{problem['field']}: " if problem.get("field") else ""
            hint = f" {problem['hint']}" if problem.get("hint") else ""
            say(console, (where, "red"), f"{field}{problem['message']}{hint}")
        return False
    console.print(f"{file}: agent '{agent.name}' is well formed.")
    return True


def draw_agent(settings: Settings, agent: str, output: Path | None, console: Console) -> None:
    """Draw an agent by name or file: Mermaid on the console, or a picture by the file's ending."""
    path = Path(agent)
    drawn = _from_file(settings, path) if path.is_file() else Catalog(settings).get(agent)
    if output is None:
        print(drawn.mermaid())
        return
    match output.suffix:
        case ".svg":
            output.write_text(drawn.picture_svg())
        case ".mmd" | ".md":
            output.write_text(drawn.mermaid())
        case other:
            raise Invalid(f"'{other}' is no picture format. Use .svg or .mmd.")
    console.print(f"Drew {drawn.name} into {output}.")


def _from_file(settings: Settings, file: Path) -> Agent:
    return Catalog(settings).read(file)
