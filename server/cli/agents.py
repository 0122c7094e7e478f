"""`motet draw`: an agent looked at without a service."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from config.errors import Invalid
from config.settings import Settings
from graphs.catalog import Catalog
from server.cli.console import write_text


def draw_agent(settings: Settings, agent: str, output: Path | None, console: Console) -> None:
    """Draw an agent by name or file: Mermaid on the console, or a picture by the file's ending."""
    path = Path(agent)
    catalog = Catalog(settings)
    drawn = catalog.read(path) if path.is_file() else catalog.get(agent)
    if output is None:
        write_text(console, drawn.mermaid())
        return
    match output.suffix:
        case ".svg":
            output.write_text(drawn.picture_svg())
        case ".mmd" | ".md":
            output.write_text(drawn.mermaid())
        case other:
            raise Invalid(f"'{other}' is no picture format. Use .svg or .mmd.")
    console.print(f"Drew {drawn.name} into {output}.")
