"""What the templates of one step have used up and cited, and how they are evaluated.

Invariant: an evaluation takes little of the event loop; what takes more is begun anew in a thread,
as if it had not been tried before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jinja2.exceptions import SecurityError

from config.steps import run_counted
from graphs.templates.work import MAX_STEPS, STEPS_ON_LOOP

MAX_TURNS = 20_000
"""Turns of all loops in one rendering."""
RENDERING = "_rendering"
"""The variable by which filters reach the rendering; templates cannot name it."""

Result = TypeVar("Result")


@dataclass
class Rendering:
    """What the templates of one step have used up, and what they have cited."""

    turns: int = 0
    cited: list[tuple[str, list[Any]]] = field(default_factory=list)
    """Blocks of text, each with its passages; passages are numbered from 1 over all blocks."""
    foreign: list[str] = field(default_factory=list)
    """Other blocks of text that others wrote."""

    @property
    def next_number(self) -> int:
        """The number of the next passage that is cited."""
        return sum(len(passages) for _, passages in self.cited) + 1

    def count_turns(self, count: int) -> None:
        """Count the turns of a loop. Raises `SecurityError` when there are too many."""
        self.turns += count
        if self.turns > MAX_TURNS:
            raise SecurityError(f"more than {MAX_TURNS} turns of a loop")


async def evaluate(
    work: Callable[[Rendering], Result], rendering: Rendering | None = None
) -> Result:
    """Evaluate templates; what takes more than a moment leaves the event loop.

    The work may be called twice. Raises what it raises: `Invalid` (`expression_failed`) if it takes
    too much.
    """
    rendering = rendering or Rendering()
    turns, cited, foreign = rendering.turns, len(rendering.cited), len(rendering.foreign)

    def attempt() -> Result:
        rendering.turns = turns
        del rendering.cited[cited:]
        del rendering.foreign[foreign:]
        return work(rendering)

    return await run_counted(attempt, STEPS_ON_LOOP, MAX_STEPS)
