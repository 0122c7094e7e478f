"""A run in the terminal: its steps as they happen, then its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from server.cli.artifact_files import address_of, is_artifact
from server.cli.client import ServerEvent
from server.cli.console import StyledText, format_size, say, write_text

END_EVENTS = ("run.waiting", "run.finished", "run.failed", "run.cancelled")
SHORT_TEXT_CHARS = 60
"""A shorter text stands in the line of its name."""
ITEM = "/item"
"""How the name of a step ends that is one item of a `map`: the steps within it say more."""


class RunPrinter:
    """Prints the events of one run.

    When its stream has ended, `output`, `error` or `interrupts` say how the run ended or why it
    waits. `address` is put before the addresses of artifacts.
    """

    def __init__(self, console: Console, address: str = "") -> None:
        self._console = console
        self._address = address
        self._writing: tuple[str, str] | None = None
        """The step whose text stands on the unfinished line, and whether that is thinking."""
        self._line_is_transient = False
        """Whether the next line takes the place of the last one."""
        self.output: Any = None
        self.error: dict[str, Any] | None = None
        self.interrupts: list[dict[str, Any]] = []
        self.run_id = ""
        self.ended = False
        """Whether the run has told how it ended, or that it waits."""

    def note(self, event: ServerEvent) -> None:
        """Note what an event says of the run as a whole, without printing anything."""
        data = event.data.get("data", {})
        match event.type:
            case "run.started":
                self.run_id = event.data["run_id"]
                self.ended = False
            case "run.waiting":
                self.interrupts = data["interrupts"]
            case "run.finished":
                self.output = data["output"]
            case "run.failed":
                self.error = data["error"]
            case "run.cancelled":
                message = f"The run was cancelled: {data['reason']}."
                self.error = {"code": "cancelled", "family": "cancelled", "message": message}
        self.ended = self.ended or event.type in END_EVENTS

    def show(self, event: ServerEvent) -> None:
        """Note one event, and print it."""
        self.note(event)
        data = event.data.get("data", {})
        node = event.data.get("node", "")
        if event.type in ("token", "thinking"):
            self._write(event.data.get("step", ""), event.type, data)
            return
        if node.endswith(ITEM):
            return
        self._end_text()
        match event.type:
            case "run.started":
                self._line((data["agent"], "bold"), _attempt(event), (f" {self.run_id}", "dim"))
            case "step.started" if f"{ITEM}/" not in node:
                self._line((f"▸ {node}", "cyan"), _attempt(event))
            case "step.finished":
                self._line((f"✓ {node}", "green"), (f" {_brief(data.get('update'))}", "dim"))
            case "step.failed":
                self._line((f"✗ {node}: {data['message']}", "red"))
            case "model" if data.get("phase") == "chosen":
                self._line((f"  model {data.get('model')}: {data.get('reason')}", "dim"))
            case "progress":
                self._progress(node, data)
            case "artifact" if is_artifact(data):
                self._artifact(data)
            case "tool" | "warning":
                self._line((f"  {event.type} {_brief(data)}", "dim"))

    def _progress(self, node: str, data: Mapping[str, Any]) -> None:
        if "total" in data and "done" in data:
            self._line((f"  {node}: {data['done']} of {data['total']}", "dim"))
        elif "step_total" in data:
            self._transient_line(f"  {node}: step {data['step_done']} of {data['step_total']}")
        elif "prompt_tokens" in data:
            done, total = data["read_tokens"], data["prompt_tokens"]
            self._transient_line(f"  {node}: {done} of {total} tokens read")
        elif "sentence" in data:
            self._line((f"  {data['spoken_s']:5.1f} s  {_short(data['sentence'], 90)}", "dim"))
        else:
            self._line((f"  progress {_brief(data)}", "dim"))

    def _artifact(self, data: Mapping[str, Any]) -> None:
        self._line(
            "  ", (str(data.get("name") or ""), "magenta"), (f" {describe_artifact(data)}", "dim")
        )
        if self._address:
            url = Text(f"    {self._address}{address_of(data)}", "dim")
            self._console.print(url, soft_wrap=True)

    def _transient_line(self, text: str) -> None:
        """Print a line that the next one takes the place of; only where a terminal can do so."""
        if self._console.is_terminal:
            self._end_text()
            self._console.print(Text(_short(text, self._console.width - 1), "dim"), end="")
            self._line_is_transient = True

    def _write(self, step: str, kind: str, data: Mapping[str, Any]) -> None:
        """Write a piece of a model's text; thinking is dim, and stands in lines of its own."""
        is_thinking = kind == "thinking"
        if data.get("was_token"):
            self._end_text()
            self._line(("  What stands above was thinking.", "dim"))
            return
        if self._writing != (step, kind):
            self._end_text()
            self._writing = step, kind
            write_text(
                self._console, "  thinks: " if is_thinking else "  ", end="", dim=is_thinking
            )
        write_text(self._console, data["text"], end="", dim=is_thinking)

    def _end_text(self) -> None:
        if self._writing is not None:
            self._console.print()
            self._writing = None
        if self._line_is_transient:
            erase = (ControlType.ERASE_IN_LINE, 2)
            self._console.control(Control(ControlType.CARRIAGE_RETURN, erase))
            self._line_is_transient = False

    def _line(self, *parts: StyledText) -> None:
        say(self._console, *parts)


def print_output(console: Console, output: Any, locations: Mapping[str, str] | None = None) -> None:
    """Print a run's output: an answer with its sources, texts as they are, the rest as JSON.

    `locations` says where each artifact, by its id, can be opened.
    """
    if not isinstance(output, Mapping):
        console.print_json(data=output)
        return
    rest = dict(output)
    citations = rest.pop("citations", None)
    answer = rest.pop("answer", None)
    passages = rest.pop("passages", None)
    if isinstance(answer, str):
        # Not as Markdown, which eats `List<String>` and `2*3*4`.
        _print_text(console, "answer", answer)
    elif answer is not None:
        rest["answer"] = answer
    if citations:
        console.print(citation_table(citations))
    if passages:
        say(console, ("passages ", "bold"), (f"{len(passages)}; --json shows them", "dim"))
    for name, value in rest.items():
        _print_value(console, name, value, locations or {})


def _print_value(console: Console, name: str, value: Any, locations: Mapping[str, str]) -> None:
    if is_artifact(value):
        location = locations.get(value["id"], address_of(value))
        called = str(value.get("name") or "")
        shown = location if location.endswith(called) else f"{called}  {location}"
        about = (f"  {describe_artifact(value)}", "dim")
        console.print(Text.assemble((f"{name} ", "bold"), shown, about), soft_wrap=True)
    elif isinstance(value, bool | int | float):
        say(console, (f"{name} ", "bold"), str(value))
    elif isinstance(value, str):
        _print_text(console, name, value)
    elif value not in (None, [], {}):
        say(console, (name, "bold"))
        console.print_json(orjson.dumps(value).decode())


def _print_text(console: Console, name: str, text: str) -> None:
    """Print a text as it is, behind its name or below it."""
    is_short = len(text) < SHORT_TEXT_CHARS and "\n" not in text
    console.print(Text(name, "bold"), end=" " if is_short else "\n")
    write_text(console, text)


def citation_table(citations: list[dict[str, Any]]) -> Table:
    """Make a table of where each cited sentence stands."""
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


def describe_artifact(artifact: Mapping[str, Any]) -> str:
    """Describe an artifact in a few words: its kind, its size, how large or how long it is."""
    facts = [str(artifact["media_type"]).partition(";")[0], format_size(artifact["size_bytes"])]
    if artifact.get("width"):
        facts.append(f"{artifact['width']} × {artifact['height']}")
    if isinstance(artifact.get("seconds"), int | float):
        facts.append(f"{artifact['seconds']:.1f} s")
    return ", ".join(facts)


def _attempt(event: ServerEvent) -> str:
    attempt = event.data["attempt"]
    return f" (attempt {attempt})" if attempt > 1 else ""


def _brief(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _short(str(value or ""), 80)
    parts = []
    for name, item in value.items():
        if isinstance(item, list):
            parts.append(f"{name}: {len(item)} items")
        elif is_artifact(item):
            parts.append(f"{name}: {item.get('name') or address_of(item)}")
        else:
            parts.append(f"{name}: {_short(str(item), 60)}")
    return _short(", ".join(parts), 120)


def _short(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
