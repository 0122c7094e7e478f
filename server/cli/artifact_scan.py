"""`motet doctor --artifacts`: whether every artifact is what was stored.

Needs no server, and disturbs none: artifacts are written whole, and only read here.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from server.cli.console import plain_console, progress_bar, say
from tools.artifact_record import check_artifact, list_artifact_paths

MAX_LISTED = 100
"""Damaged artifacts that are named; the others are counted."""


def scan_artifacts(folder: Path, console: Console) -> bool:
    """Read every artifact below a folder and name those that are damaged; return whether none is.

    Takes as long as the disk takes to read them; Ctrl-C ends it.
    """
    paths = list_artifact_paths(folder)
    problems = []
    with progress_bar(plain_console(stderr=True), "artifacts") as bar:
        for done, path in enumerate(paths):
            bar.update(done, len(paths))
            if problem := check_artifact(path):
                problems.append(problem)
    for problem in problems[:MAX_LISTED]:
        say(console, ("problem: ", "red"), problem.message)
    say(console, f"{len(paths):,} artifacts read, {len(problems):,} damaged.")
    return not problems
