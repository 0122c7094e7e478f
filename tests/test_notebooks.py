"""The notebooks run as they stand, offline, and come to what they say."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_TIMEOUT_S = 400


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A fresh home for Motet and for Jupyter, and no Ollama."""
    folders = {
        name: str(tmp_path / name.lower())
        for name in ("MOTET_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MOTET_")}
    offline = {"MOTET_OLLAMA_URL": "http://127.0.0.1:9", "OMP_NUM_THREADS": "1"}
    return {**kept, **folders, **offline}


async def values(name: str, environment: dict[str, str], *names: str) -> dict[str, Any]:
    """Run a notebook; what these names of it hold at its end, as JSON."""
    notebook = nbformat.read(ROOT / "notebooks" / name, 4)
    listed = ", ".join(f'"{each}": {each}' for each in names)
    probe = new_code_cell(f"import json\nprint(json.dumps({{{listed}}}, default=vars))")
    notebook.cells.append(probe)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        resources={"metadata": {"path": str(ROOT / "notebooks")}},
    )
    await client.async_execute(env=environment)
    found: dict[str, Any] = json.loads(text_of(probe))
    return found


def text_of(cell: NotebookNode) -> str:
    """What a cell printed."""
    return "".join(output["text"] for output in cell.outputs if output.output_type == "stream")


async def test_a_graph_is_run_step_by_step_changed_saved_and_asks_a_person(
    environment: dict[str, str],
) -> None:
    found = await values(
        "prototype_a_graph.ipynb",
        environment,
        *("mistake", "first", "second", "tried", "yaml", "waited", "run.status", "run.output"),
    )
    assert (
        "nodes.draft.prompt: there is no channel 'mial'. Did you mean 'mail'?" in (found["mistake"])
    )
    assert found["first"] == {"look": {"urgent": True}}
    assert found["second"] == {
        "draft": {"text": "Hello Ada, thank you for your mail. We answer today."}
    }
    assert list(found["tried"].values()) == [
        70,
        "Dear all, could you call me back before noon?",
        True,
    ]
    assert "name: reply" in found["yaml"].splitlines()
    assert (found["waited"], found["run.status"]) == ("waiting", "finished")
    assert found["run.output"] == {**found["second"]["draft"], "urgent": True, "approved": True}


async def test_documents_are_indexed_searched_asked_and_cited(environment: dict[str, str]) -> None:
    found = await values(
        "ask_documents.ipynb",
        environment,
        *("report.added", "again.unchanged", "again.added", "best.text", "best.source"),
        *("answered", "shown.text", "shown.changed", "unknown", "question"),
    )
    pages = len(list((ROOT / "docs").rglob("*.md")))
    assert (found["report.added"], found["again.unchanged"], found["again.added"]) == (
        pages,
        pages,
        0,
    )
    source = (ROOT / "docs" / found["best.source"]).read_text()
    assert found["best.text"] in source
    answered = found["answered"]
    assert (answered["model"], answered["refused"]) == ("reader", False)
    assert answered["answer"].startswith("When the server is killed")
    assert [span(citation) for citation in answered["citations"]] == [
        citation["text"] for citation in answered["citations"]
    ]
    assert (found["shown.text"], found["shown.changed"]) == (
        answered["citations"][0]["text"],
        False,
    )
    assert (
        found["unknown"]["answer"],
        found["unknown"]["refused"],
        found["unknown"]["citations"],
    ) == (
        "The documents do not say.",
        True,
        [],
    )


def span(citation: dict[str, Any]) -> str:
    """What stands where a citation says, in the file itself."""
    text = (ROOT / "docs" / citation["source"]).read_text()
    return text[citation["start"] : citation["end"]]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_kept_without_outputs_and_ends_what_it_opened(file: Path) -> None:
    notebook = nbformat.read(file, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count] == []
    assert code[-1].source == "await stack.aclose()"


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_every_file_that_a_notebook_links_to_exists(file: Path) -> None:
    notebook = nbformat.read(file, 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (file.parent / link).exists()] == []
