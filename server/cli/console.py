"""The terminal: lines, tables and progress, as every command prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

StyledText: TypeAlias = str | tuple[str, str]
"""Text, or text and its style."""


def plain_console(*, stderr: bool = False) -> Console:
    """Make a console that prints text as it is: no `[markup]` in a message or a document."""
    return Console(stderr=stderr, markup=False, highlight=False)


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
