"""A run in the terminal: its steps as they happen, then what came out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from rich.console import Console
from rich.control import Control
from rich.markdown import Markdown
from rich.panel import Panel
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from server.cli.artifact_files import is_artifact
from server.cli.client import Event

PIECE = "/item"
"""How the name of a step ends that is one item of a `map`: the steps in it tell more."""

Part: TypeAlias = str | tuple[str, str]
"""Text, or text and its style."""


def plain_console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: no `[markup]` in a message, a name or a document."""
    return Console(stderr=stderr, markup=False, highlight=False)


def say(console: Console, *parts: Part) -> None:
    """Print a line of styled parts."""
    console.print(Text.assemble(*parts))


def listing(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table without lines."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    return table


class RunPrinter:
    """Prints the events of one run; `output` and `interrupts` are what it ended or stopped with."""

    def __init__(self, console: Console, address: str = "") -> None:
        self._console = console
        self._address = address
        self._writing: str | None = None
        self._passing = False
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
        if node.endswith(PIECE):
            return
        self._end_text()
        match event.type:
            case "run.started":
                self.run_id = event.data["run_id"]
                again = f" (attempt {event.data['attempt']})" if event.data["attempt"] > 1 else ""
                self._line((data["agent"], "bold"), again, (f" {self.run_id}", "dim"))
            case "step.started" if f"{PIECE}/" not in node:
                again = f" (attempt {event.data['attempt']})" if event.data["attempt"] > 1 else ""
                self._line((f"▸ {node}", "cyan"), again)
            case "step.finished":
                self._line((f"✓ {node}", "green"), (f" {_brief(data.get('update'))}", "dim"))
            case "step.failed":
                self._line((f"✗ {node}: {data['message']}", "red"))
            case "model" if data.get("phase") == "chosen":
                self._line((f"  model {data.get('model')}: {data.get('reason')}", "dim"))
            case "progress":
                self._progress(node, data)
            case "artifact":
                self._artifact(data)
            case "tool" | "warning":
                self._line((f"  {event.type} {_brief(data)}", "dim"))
            case "run.waiting":
                self.interrupts = data["interrupts"]
            case "run.finished":
                self.output = data["output"]
            case "run.failed":
                self.error = data["error"]
            case "run.cancelled":
                message = f"The run was cancelled: {data['reason']}."
                self.error = {"code": "cancelled", "family": "cancelled", "message": message}

    def _progress(self, node: str, data: Mapping[str, Any]) -> None:
        if "total" in data and "done" in data:
            self._line((f"  {node}: {data['done']} of {data['total']}", "dim"))
        elif "step_total" in data:
            self._pass(f"  {node}: step {data['step_done']} of {data['step_total']}")
        elif "sentence" in data:
            self._line((f"  {data['spoken_s']:5.1f} s  {_short(data['sentence'], 90)}", "dim"))
        else:
            self._line((f"  progress {_brief(data)}", "dim"))

    def _artifact(self, data: Mapping[str, Any]) -> None:
        self._line("  ", (data["name"], "magenta"), (f" {about(data)}", "dim"))
        if self._address:
            place = Text(f"    {self._address}{data['url']}", "dim")
            self._console.print(place, soft_wrap=True)

    def _pass(self, text: str) -> None:
        """Show a line that the next one takes the place of; only where a terminal can do so."""
        if self._console.is_terminal:
            self._end_text()
            self._console.print(Text(_short(text, self._console.width - 1), "dim"), end="")
            self._passing = True

    def _token(self, step: str, text: str) -> None:
        if self._writing != step:
            self._end_text()
            self._writing = step
            self._console.print("  ", end="")
        self._console.print(text, end="", soft_wrap=True)

    def _end_text(self) -> None:
        if self._writing is not None:
            self._console.print()
            self._writing = None
        if self._passing:
            erase = (ControlType.ERASE_IN_LINE, 2)
            self._console.control(Control(ControlType.CARRIAGE_RETURN, erase))
            self._passing = False

    def _line(self, *parts: Part) -> None:
        say(self._console, *parts)


def print_output(console: Console, output: Any, places: Mapping[str, str] | None = None) -> None:
    """What a run gave: an answer with its sources, or JSON.

    `places` says where each artifact, by its id, can be opened.
    """
    if not isinstance(output, Mapping):
        console.print_json(data=output)
        return
    rest = dict(output)
    citations = rest.pop("citations", None)
    answer = rest.pop("answer", None)
    passages = rest.pop("passages", None)
    if isinstance(answer, str):
        console.print(Panel(Markdown(answer), title="answer", title_align="left"))
    elif answer is not None:
        rest["answer"] = answer
    if citations:
        console.print(citation_table(citations))
    if passages:
        say(console, ("passages ", "bold"), (f"{len(passages)}; --json shows them", "dim"))
    for name, value in rest.items():
        if is_artifact(value):
            place = (places or {}).get(value["id"], value["url"])
            called = str(value.get("name") or "")
            shown = place if place.endswith(called) else f"{called}  {place}"
            line = Text.assemble((f"{name} ", "bold"), shown, (f"  {about(value)}", "dim"))
            console.print(line, soft_wrap=True)
        elif isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < 60):
            say(console, (f"{name} ", "bold"), str(value))
        elif isinstance(value, str):
            console.print(Panel(value, title=name, title_align="left"))
        elif value not in (None, [], {}):
            say(console, (name, "bold"))
            console.print_json(orjson.dumps(value).decode())


def citation_table(citations: list[dict[str, Any]]) -> Table:
    """Where each cited sentence stands."""
    table = Table(title="sources", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "document", "section", "characters", "text"):
        table.add_column(heading, overflow="fold", ratio=2 if heading == "text" else None)
    for citation in citations:
        table.add_row(
            f"[{citation['n']}]",
            str(citation.get("source", "")),
            " › ".join(citation.get("heading") or []),
            f"{citation['start']}-{citation['end']}",
            _short(str(citation.get("text", "")), 120),
        )
    return table


def about(artifact: Mapping[str, Any]) -> str:
    """An artifact in a few words: its kind, its size, how large or how long it is."""
    facts = [str(artifact["media_type"]).partition(";")[0], _size(artifact["size_bytes"])]
    if artifact.get("width"):
        facts.append(f"{artifact['width']} × {artifact['height']}")
    if artifact.get("seconds"):
        facts.append(f"{artifact['seconds']:.1f} s")
    return ", ".join(facts)


def _size(size_bytes: int) -> str:
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} bytes"


def _brief(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _short(str(value or ""), 80)
    parts = []
    for name, item in value.items():
        if isinstance(item, list):
            parts.append(f"{name}: {len(item)} items")
        elif is_artifact(item):
            parts.append(f"{name}: {item.get('name') or item['url']}")
        else:
            parts.append(f"{name}: {_short(str(item), 60)}")
    return _short(", ".join(parts), 120)


def _short(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
