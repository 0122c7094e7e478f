"""CONTRIBUTING.md does what it says: its example of a node type works, its files exist."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
TEXT = PAGE.read_text()
EXAMPLE = TEXT.split("## Adding a node type", 1)[1].split("\n## ", 1)[0]
NEW_FILES = {"graphs/nodes/shout.py", "tests/graphs/nodes/test_shout.py"}
LOUDER = "home/agents/louder.yaml"
TIMEOUT_S = 240


def block(language: str, holds: str, text: str = TEXT) -> str:
    """Return the one fenced block of this language that holds these words."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    [found] = [each for each in blocks if holds in each]
    return str(found)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the node type of the page: graphs and tests copied, the rest linked."""
    folder = tmp_path_factory.mktemp("checkout")
    for entry in ROOT.iterdir():
        if entry.name in ("graphs", "tests"):
            ignore = shutil.ignore_patterns("__pycache__", "acceptance")
            shutil.copytree(entry, folder / entry.name, ignore=ignore)
        elif not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)
    (folder / "graphs/nodes/shout.py").write_text(block("python", "SHOUT = NodeType", EXAMPLE))
    (folder / "tests/graphs/nodes/test_shout.py").write_text(block("python", "def test_", EXAMPLE))
    (folder / "home/agents").mkdir(parents=True)
    (folder / LOUDER).write_text(block("yaml", "name: louder", EXAMPLE))
    announce(folder / "graphs/nodes/__init__.py", block("diff", "SHOUT", EXAMPLE))
    return folder


def announce(file: Path, change: str) -> None:
    """Insert the lines that the change marks with `+`, each after the line that is above it there.

    A line at the beginning of the change comes before the next one instead.
    """
    lines = file.read_text().splitlines()
    above = ""
    for line, below in itertools.pairwise(change.splitlines()):
        if line.startswith("+"):
            at = lines.index(above) + 1 if above else lines.index(below[1:])
            lines.insert(at, line[1:])
        above = line[1:]
    file.write_text("\n".join([*lines, ""]))


def run_python(checkout: Path, *arguments: str) -> str:
    """Run Python in the checkout, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "MOTET_HOME": str(checkout / "home")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_new_node_type_passes_its_own_test(checkout: Path) -> None:
    out = run_python(checkout, "-m", "pytest", "-q", "tests/graphs/nodes/test_shout.py")

    assert "1 passed" in out


def test_agent_with_the_new_node_type_is_checked_and_run(checkout: Path) -> None:
    run_python(checkout, "-m", "server", "check", LOUDER)
    out = run_python(checkout, "-m", "server", "run", "louder", "good morning")

    assert "GOOD MORNING!!!" in out


def test_new_node_type_is_in_the_schema_for_editors(checkout: Path) -> None:
    assert '"ShoutSpec"' in run_python(checkout, "-m", "server", "schema")


def test_trace_is_replayed_step_by_step(tmp_path: Path) -> None:
    (tmp_path / "replay.py").write_text(block("python", "class Narrated"))

    out = run_python(ROOT, str(tmp_path / "replay.py"))

    assert "Load(" in out
    assert "longest wait" in out.splitlines()[-1]


def test_every_file_and_folder_that_is_named_exists() -> None:
    named = re.findall(
        r"\b((?:config|models|indexes|tools|graphs|runs|server|tests|benchmarks)/[\w/]*(?:\.\w+)?)",
        TEXT,
    )

    missing = {name for name in named if not (ROOT / name).exists()}

    assert missing - {"runs/RUN_ID/events"} == NEW_FILES


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = set(re.findall(r"\bmake ([a-z-]+)", TEXT))

    assert named <= targets
