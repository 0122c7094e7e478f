"""Writes the table of events into docs/runs.md: `python -m runs.event_page`."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_type_hints

from runs.event_types import EVENT_TYPES
from runs.event_types.base import ENVELOPE, SCOPE_FIELDS, EventData

PAGE = Path(__file__).parent.parent / "docs" / "runs.md"
BEGIN = "<!-- made of runs/event_types by `python -m runs.event_page` -->\n"
END = "<!-- end of what is made -->\n"


def render_tables() -> str:
    """Render the fields of every event, then all types with their data, as Markdown."""
    lines = ["| field | meaning |", "| --- | --- |"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in {**ENVELOPE, **SCOPE_FIELDS}.items()]
    lines += ["", "| event | `data` | meaning |", "| --- | --- | --- |"]
    for event in EVENT_TYPES.values():
        lines.append(f"| `{event.type}` | | {event.meaning} |")
        lines += _rows(event)
    return "\n".join(lines) + "\n"


def render_page(page: str) -> str:
    """Return the page with its tables made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_tables()}\n{END}{after}"


def _rows(event: type[EventData]) -> list[str]:
    hints = get_type_hints(event, include_extras=True)
    return [
        f"| | `{each.name}`{'' if each.default is MISSING else ' ?'} "
        f"| {hints[each.name].__metadata__[0]} |"
        for each in fields(event)
    ]


if __name__ == "__main__":
    PAGE.write_text(render_page(PAGE.read_text()))
