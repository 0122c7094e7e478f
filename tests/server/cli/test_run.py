"""Commands that do more than one request."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from config.errors import Invalid, MotetError
from config.settings import load_settings
from server.cli.check import check_files
from server.cli.ingest import add_sources
from server.cli.run import RunOptions, run_agent

INDEXES = """
version: 1
indexes:
  notes: {folders: [documents]}
"""


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=200)


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


async def test_an_index_is_filled_from_the_folders_that_it_declares(
    tmp_path: Path, console: Console
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (tmp_path / "indexes.yaml").write_text(INDEXES)
    assert await add_sources(load_settings(home=tmp_path), "notes", [], console)
    assert printed(console).strip().startswith(f"{folder}: 0 added")


async def test_an_index_without_folders_needs_to_be_told_what_to_index(
    tmp_path: Path, console: Console
) -> None:
    settings = load_settings(home=tmp_path)
    with pytest.raises(Invalid, match="'docs' declares no folders"):
        await add_sources(settings, "docs", [], console)
    with pytest.raises(MotetError, match="no index 'other'"):
        await add_sources(settings, "other", [], console)


def test_checking_a_file_names_place_field_and_what_is_wrong(
    tmp_path: Path, console: Console
) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("version: 1\nname: broken\ninputs: {}\nnodes:\n  a: {type: sett}\n")
    assert not check_files(load_settings(home=tmp_path), [file], console)
    problems = printed(console).splitlines()
    assert f"{file}:1:1: output: is required." in problems
    assert any(
        line.startswith(f"{file}:3:1: inputs: there is no key 'inputs' here.") for line in problems
    )
    assert any("nodes.a.type: there is no node type 'sett'." in line for line in problems)


MADE_UP = """
version: 1
name: forger
input: {claim: list}
nodes:
  claim: {type: set, values: {made: "{{ claim }}", answer: done}}
output: [answer, made]
"""


async def test_run_saves_no_file_that_its_output_only_claims(
    tmp_path: Path, console: Console
) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    (home / "agents").mkdir(parents=True)
    (home / "agents" / "forger.yaml").write_text(MADE_UP)
    stranger = {"url": "http://127.0.0.1:9/x", "media_type": "a/b", "size_bytes": 1, "name": "n"}
    claims = [{**stranger, "id": "../../escaped"}, {**stranger, "id": "0" * 64}]
    text = orjson.dumps({"claim": claims}).decode()

    options = RunOptions("forger", input_json=text, save_to=folder)
    await run_agent(load_settings(home=home), options, console)

    assert "done" in printed(console)
    assert set(tmp_path.iterdir()) == {home, folder}
    assert list(folder.iterdir()) == []
