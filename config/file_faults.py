"""Everything that is wrong in a file that people write, as one error.

Owns the error's form: its message is the first fault in the order of the file, and `problems` of
its details are all. Agents have their own, which knows nodes and columns (`graphs.spec.problems`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from config.errors import Invalid

MAX_FAULTS = 200
"""More are left out: nobody reads them."""


class FileFault(NamedTuple):
    """One thing that is wrong, on a line where that is known. `field` is a path with dots."""

    file: Path
    line: int | None
    field: str
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return what is known of the fault, as JSON."""
        known = {**self._asdict(), "file": str(self.file)}
        return {key: value for key, value in known.items() if value}


def file_error(faults: Iterable[FileFault], code: str) -> Invalid:
    """Build the error of all faults, of which there is at least one."""
    ordered = sorted(faults, key=lambda each: each.line or 0)[:MAX_FAULTS]
    first = ordered[0]
    where = f"{first.file}:{first.line}" if first.line else str(first.file)
    more = f" ({len(ordered)} problems in all.)" if len(ordered) > 1 else ""
    message = f"{where}: {first.field + ': ' if first.field else ''}{first.message}{more}"
    problems = [fault.as_dict() for fault in ordered]
    details = {key: value for key, value in problems[0].items() if key != "message"}
    return Invalid(message, code=code, details={**details, "problems": problems})
