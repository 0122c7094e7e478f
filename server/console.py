"""A run in the terminal: its steps as they happen, then what came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table

from server.client import Event


class RunPrinter:
    """Prints the events of one run; `output` and `interrupts` are what it ended or stopped with."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._writing: str | None = None
        self.output: Any = None
        self.error: dict[str, Any] | None = None
        self.interrupts: list[dict[str, Any]] = []
        self.run_id = ""

    def show(self, event: Event) -> None:
        """Print one event."""
        data = event.data.get("data", {})
        node = event.data.get("node", "")
        if event.type == "token":
            self._token(event.data.get("step", ""), data["text"])
            return
        self._end_text()
        match event.type:
            case "run.started":
                self.run_id = event.data["run_id"]
                again = f" (attempt {event.data['attempt']})" if event.data["attempt"] > 1 else ""
                self._line(f"[bold]{data['agent']}[/]{again} [dim]{self.run_id}[/]")
            case "step.started":
                again = f" (attempt {event.data['attempt']})" if event.data["attempt"] > 1 else ""
                self._line(f"[cyan]▸ {node}[/]{again}")
            case "step.finished":
                self._line(f"[green]✓ {node}[/] [dim]{_brief(data.get('update'))}[/]")
            case "step.failed":
                self._line(f"[red]✗ {node}: {data['message']}[/]")
            case "model" if data.get("phase") == "chosen":
                self._line(f"  [dim]model {data.get('model')}: {data.get('reason')}[/]")
            case "progress" | "tool" | "warning":
                self._line(f"  [dim]{event.type} {_brief(data)}[/]")
            case "run.waiting":
                self.interrupts = data["interrupts"]
            case "run.finished":
                self.output = data["output"]
            case "run.failed":
                self.error = data["error"]
            case "run.cancelled":
                self.error = {"message": f"The run was cancelled: {data['reason']}."}

    def _token(self, step: str, text: str) -> None:
        if self._writing != step:
            self._end_text()
            self._writing = step
            self._console.print("  ", end="")
        self._console.print(text, end="", markup=False, highlight=False, soft_wrap=True)

    def _end_text(self) -> None:
        if self._writing is not None:
            self._console.print()
            self._writing = None

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False)


def print_output(console: Console, output: Any) -> None:
    """What a run gave: an answer with its sources, or JSON."""
    if not isinstance(output, Mapping):
        console.print_json(data=output)
        return
    rest = dict(output)
    citations = rest.pop("citations", None)
    answer = rest.pop("answer", None)
    if isinstance(answer, str):
        console.print(Panel(Markdown(answer), title="answer", title_align="left"))
    elif answer is not None:
        rest["answer"] = answer
    if citations:
        console.print(citation_table(citations))
    for name, value in rest.items():
        if isinstance(value, str):
            console.print(Panel(value, title=name, title_align="left"))
        elif value not in (None, [], {}):
            console.print(f"[bold]{name}[/]")
            console.print_json(orjson.dumps(value).decode())


def citation_table(citations: list[dict[str, Any]]) -> Table:
    """Where each cited sentence stands."""
    table = Table(title="sources", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "document", "section", "characters", "text"):
        table.add_column(heading, overflow="fold", ratio=2 if heading == "text" else None)
    for citation in citations:
        table.add_row(
            f"[{citation['n']}]".replace("[", "\\["),
            str(citation.get("source", "")),
            " › ".join(citation.get("heading") or []),
            f"{citation['start']}-{citation['end']}",
            _short(str(citation.get("text", "")), 120),
        )
    return table


def _brief(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _short(str(value or ""), 80)
    parts = []
    for name, item in value.items():
        if isinstance(item, list):
            parts.append(f"{name}: {len(item)} items")
        else:
            parts.append(f"{name}: {_short(str(item), 60)}")
    return _short(", ".join(parts), 120).replace("[", "\\[")


def _short(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
