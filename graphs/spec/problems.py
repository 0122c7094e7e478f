"""What is wrong in an agent's file, and where: every problem of a file in one error.

Owns the error `invalid_agent` with its details: file, line, column, node, field, message, hint, and
the list `problems`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from config.errors import Invalid
from config.yaml_reader import Marks, Path

__all__ = ["Path", "Problem", "Problems"]

MAX_PROBLEMS = 200


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `path` leads to it from the top of the file."""

    path: Path
    message: str
    hint: str = ""
    line_offset: int = 0


@dataclass
class Problems:
    """Collects problems while a file is read; `check` raises them together."""

    file: str | None = None
    marks: Marks = field(default_factory=dict)
    entries: dict[Problem, None] = field(default_factory=dict)
    are_cut: bool = False
    """Whether there are more problems than `MAX_PROBLEMS`, which nobody reads."""

    def add(self, path: Path, message: str, hint: str = "", line_offset: int = 0) -> None:
        """Note a problem, once. `line_offset` counts lines within a text of several."""
        if self.is_full():
            return
        self.entries[Problem(path, message, hint, line_offset)] = None

    def is_full(self) -> bool:
        """Tell whether further problems are left out; from now on the error says so."""
        self.are_cut = self.are_cut or len(self.entries) >= MAX_PROBLEMS
        return self.are_cut

    def check(self) -> None:
        """Raise `Invalid` (`invalid_agent`) that lists every problem, if there is any."""
        if self.entries:
            raise self.error()

    def listed(self) -> list[dict[str, Any]]:
        """Return every problem as JSON, in the order of the file."""
        return sorted(
            (self._describe(problem) for problem in self.entries),
            key=lambda item: (item["line"] or 0, item["column"] or 0),
        )

    def error(self) -> Invalid:
        """Make the error of all problems, in the order of the file; its message is the first."""
        listed = self.listed()
        first = listed[0]
        position = ":".join(str(part) for part in (self.file, first["line"]) if part)
        where = f" {first['field']}:" if first["field"] else ""
        hint = f" {first['hint']}" if first["hint"] else ""
        count = f"more than {MAX_PROBLEMS}" if self.are_cut else len(listed)
        more = f" ({count} problems in all.)" if len(listed) > 1 else ""
        colon = ":" if position else ""
        message = f"{position}{colon}{where} {first['message']}{hint}{more}".strip()
        shown = {key: value for key, value in first.items() if value is not None}
        return Invalid(message, code="invalid_agent", details={**shown, "problems": listed})

    def _describe(self, problem: Problem) -> dict[str, Any]:
        line, column = self._position(problem.path)
        path = [str(part) for part in problem.path]
        return {
            "file": self.file,
            "line": line + problem.line_offset if line is not None else None,
            "column": column,
            "node": path[1] if path[:1] == ["nodes"] and len(path) > 1 else None,
            "field": ".".join(path),
            "message": problem.message,
            "hint": problem.hint,
        }

    def _position(self, path: Path) -> tuple[int | None, int | None]:
        """Return line and column of a value, or of the nearest one around it."""
        for length in range(len(path), -1, -1):
            if mark := self.marks.get(path[:length]):
                return mark
        return None, None
