"""How costs grow with what was stored: turns of a thread, threads and runs, steps of a run.

`python -m benchmarks growth`, or some of it: `growth --parts=turns,lists,steps`.
"""

from __future__ import annotations

import argparse

from benchmarks.growth import lists, steps, turns

PARTS = {"turns": turns.main, "lists": lists.main, "steps": steps.main}


async def main() -> None:
    """Print the tables of all parts, or of those named."""
    parser = argparse.ArgumentParser(prog="benchmarks growth")
    parser.add_argument("--parts", default=",".join(PARTS))
    options, _ = parser.parse_known_args()
    for name in options.parts.split(","):
        await PARTS[name]()
