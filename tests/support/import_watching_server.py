"""Serves as `motet` does, and names on standard error what is imported on the event loop.

A line is `LINE outermost name`: the module that was asked for, and one that this imported.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType

from server.cli.main import main

LINE = "imported on the event loop:"


class ImportWatch:
    """A finder that finds nothing: it is asked before each import, and writes down those of the
    thread that the event loop runs in."""

    def __init__(self) -> None:
        self._outermost = ""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if threading.current_thread() is not threading.main_thread() or not _in_loop():
            return None
        depth = _import_depth(sys._getframe())
        if depth <= 1:
            self._outermost = name
        print(LINE, self._outermost, name, file=sys.stderr, flush=True)
        return None


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _import_depth(frame: FrameType | None) -> int:
    """Count the imports under way; a search for a module that is not imported counts none."""
    depth = 0
    while frame:
        depth += frame.f_code.co_name == "_find_and_load"
        frame = frame.f_back
    return depth


if __name__ == "__main__":
    sys.meta_path.insert(0, ImportWatch())  # type: ignore[arg-type]
    main()
