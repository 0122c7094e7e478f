"""Files that run here are refused when somebody else can change them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.errors import Invalid
from config.settings import Settings
from config.trusted_files import check_trusted
from graphs.catalog import Catalog
from models.catalog.file import load_models
from tools.user_tools import load_user_tools

TOOL = 'from tools import tool\n@tool\ndef act() -> str:\n    """Act."""\n    return "done"\n'
AGENT = """
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict
class State(TypedDict, total=False):
    x: int
def build():
    graph = StateGraph(State)
    graph.add_node("a", lambda state: {})
    graph.add_edge(START, "a")
    return graph
"""
SERVE = """
version: 1
models:
  mine:
    task: chat
    backend: openai
    source: mine
    options: {serve: {command: [run-it, "{port}"]}}
"""
SHARED_GROUP = 54321
"""A group of nobody, so not the private one of a user."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    file = folder / "mine.py"
    file.write_text(TOOL)
    file.chmod(0o644)
    return file


def is_root() -> bool:
    return os.geteuid() == 0


needs_root = pytest.mark.skipif(not is_root(), reason="only root gives files away")


def test_a_file_that_only_its_owner_can_change_is_trusted(file: Path) -> None:
    check_trusted(file)
    check_trusted(file.with_name("none.py"))


def test_a_file_that_everybody_can_change_is_refused_with_what_to_do(file: Path) -> None:
    file.chmod(0o666)

    with pytest.raises(Invalid, match=r"everybody can change the file.*chmod go-w") as caught:
        check_trusted(file)
    assert caught.value.code == "untrusted_file"
    assert caught.value.details == {"file": str(file)}


def test_a_folder_that_everybody_can_change_is_refused(file: Path) -> None:
    file.parent.chmod(0o777)

    with pytest.raises(Invalid, match="everybody can change the folder"):
        check_trusted(file)


def test_a_folder_where_each_changes_his_own_files_is_trusted(file: Path) -> None:
    file.parent.chmod(0o1777)

    check_trusted(file)


@needs_root
def test_a_file_of_a_group_is_refused_with_its_name(file: Path) -> None:
    os.chown(file, -1, SHARED_GROUP)
    file.chmod(0o664)

    with pytest.raises(Invalid, match=f"the group {SHARED_GROUP} can change the file"):
        check_trusted(file)


def test_a_file_of_a_users_private_group_is_trusted(file: Path) -> None:
    file.chmod(0o664)

    check_trusted(file)


@needs_root
def test_a_file_of_another_user_is_refused(file: Path) -> None:
    os.chown(file, 54321, -1)

    with pytest.raises(Invalid, match="belongs to user 54321"):
        check_trusted(file)


def test_a_link_is_as_trusted_as_what_it_leads_to(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to(file)
    check_trusted(link)
    file.chmod(0o666)

    with pytest.raises(Invalid, match="everybody can change"):
        check_trusted(link)


def test_a_tool_file_that_others_can_change_does_not_run(file: Path) -> None:
    marker = file.parent / "ran"
    file.write_text(f"open({str(marker)!r}, 'w')\n{TOOL}")
    file.chmod(0o666)

    tools, [problem] = load_user_tools(file.parent)

    assert (tools, problem.code, marker.exists()) == ([], "untrusted_file", False)


def test_a_python_agent_that_others_can_change_does_not_run(file: Path) -> None:
    file.write_text(AGENT)
    file.chmod(0o666)
    catalog = Catalog(Settings(agents=file.parent))

    assert [problem.code for problem in catalog.problems()] == ["untrusted_file"]
    assert "mine" not in {agent.name for agent in catalog.list()}
    file.chmod(0o600)
    catalog.reload()
    assert catalog.get("mine").origin == "python"


@pytest.mark.parametrize("text", [SERVE, "backends: {transformers: {allow_pickles: true}}\n"])
def test_models_that_start_programs_are_refused_from_a_file_that_others_can_change(
    tmp_path: Path, text: str
) -> None:
    models = tmp_path / "models.yaml"
    models.write_text(text)
    load_models(Settings(home=tmp_path))
    models.chmod(0o666)

    with pytest.raises(Invalid, match=r"models\.yaml is not run"):
        load_models(Settings(home=tmp_path))
    models.write_text("version: 1\n")
    load_models(Settings(home=tmp_path))
