"""The terminal: lines, tables and progress, as every command prints them.

Owns what reaches a terminal of texts that models, documents and other people wrote: characters that
would steer it are shown, never sent. The rest of a text is printed as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.highlighter import JSONHighlighter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from config.terminal import STEERING, show_controls

UNBOUNDED_COLUMNS = 100_000
"""The width of what is no terminal."""
DIM, NOT_DIM = "\x1b[2m", "\x1b[22m"
"""What makes a terminal's text faint, and plain again."""
StyledText: TypeAlias = str | tuple[str, str]
"""Text, or text and its style."""


def write_json(value: Any, *, indent: bool = False) -> str:
    """Write JSON for terminals and programs: what would steer a terminal is escaped."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None).decode()
    return STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def format_size(size_bytes: int) -> str:
    """Say how large a file is."""
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} bytes"


class SafeConsole(Console):
    """A console on which nothing that is printed steers the terminal."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render; rich's own controls stay."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(show_controls(segment.text), segment.style)

    def print_json(self, json: str | None = None, *, data: Any = None, **kwargs: Any) -> None:
        """Print `data` as JSON, in lines as long as they are."""
        text = write_json(data if json is None else orjson.loads(json), indent=True)
        if self.is_terminal:
            self.print(JSONHighlighter()(text), soft_wrap=True)
        else:
            write_text(self, text)


def plain_console(*, stderr: bool = False) -> Console:
    """Make a console that prints text as it is: no `[markup]` in a message or a document.

    In pipes and files no line is wrapped, and so no name in a table broken.
    """
    console = SafeConsole(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNBOUNDED_COLUMNS
    return console


def write_text(console: Console, text: str, end: str = "\n", *, dim: bool = False) -> None:
    """Print a text character by character: not wrapped, no tab widened, only controls shown."""
    shown = show_controls(text)
    if dim and console.color_system:
        shown = f"{DIM}{shown}{NOT_DIM}"
    console.file.write(f"{shown}{end}")
    console.file.flush()


def say(console: Console, *parts: StyledText) -> None:
    """Print a line of styled parts."""
    console.print(Text.assemble(*parts))


def listing(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Make a table without lines."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    return table


class ProgressBar:
    """A bar for one piece of work."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def update(self, done: int, total: int, description: str | None = None) -> None:
        """Show how much is done; a total of 0 is not known yet."""
        self._progress.update(
            self._task, description=description, completed=done, total=total or None
        )


@contextmanager
def progress_bar(console: Console, description: str) -> Iterator[ProgressBar]:
    """Show a bar, which is gone on exit."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield ProgressBar(progress, progress.add_task(description, total=None))
