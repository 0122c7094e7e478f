"""A report that a benchmark can go on with: a line of JSON for each thing that was tried.

Slow machines need hours for all of it: `--minutes` bounds one sitting, and `--resume` leaves out
what stands in the report already. A thing that was tried again counts as it was tried last.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

Key = tuple[Any, ...]


def add_options(parser: argparse.ArgumentParser, default: Path) -> None:
    """Add the options of `Report.of`."""
    parser.add_argument("--report", type=Path, default=default)
    parser.add_argument("--resume", action="store_true", help="go on with the report")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin nothing after so many")


class Report:
    """Lines by the fields `key`, in a file."""

    def __init__(self, path: Path, key: Sequence[str], *, resume: bool, minutes: float) -> None:
        self.path = path
        self._key = key
        self._ends_at_s = time.monotonic() + 60 * minutes
        self._lines: dict[Key, Mapping[str, Any]] = {}
        if not resume:
            path.write_bytes(b"")
        for line in path.read_bytes().splitlines() if path.exists() else ():
            self._add(orjson.loads(line))

    @classmethod
    def of(cls, chosen: argparse.Namespace, *key: str) -> Report:
        return cls(chosen.report, key, resume=chosen.resume, minutes=chosen.minutes)

    def is_over(self) -> bool:
        """Tell whether the time of this sitting is used up."""
        return time.monotonic() > self._ends_at_s

    def __contains__(self, key: Key) -> bool:
        return key in self._lines

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._lines.values())

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line; it is in the file when this returns."""
        written = orjson.dumps(line, default=str)
        with self.path.open("ab") as file:
            file.write(written + b"\n")
        self._add(orjson.loads(written))

    def _add(self, line: Mapping[str, Any]) -> None:
        self._lines[tuple(line[name] for name in self._key)] = line
