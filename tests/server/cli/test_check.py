"""`motet check`: which file is what, and where it says that something is wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from config.errors import NotFound
from config.settings import load_settings
from server.cli.check import check_files

AGENT = """\
version: 1
name: good
nodes:
  a: {type: tool, tool: calculate, arguments: {expression: "1"}, save: x}
output: x
"""


def check(home: Path, *files: Path) -> tuple[bool, str]:
    screen = io.StringIO()
    good = check_files(load_settings(home=home), files, Console(file=screen, width=40))
    return good, screen.getvalue()


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.yaml", AGENT.replace("calculate", "calclate"), "a.yaml:4:25: nodes.a.tool: "),
        ("a.yaml", AGENT.replace("save: x", "svae: x"),
         "a.yaml:4:72: nodes.a.svae: there is no key"),
        ("mine.yaml", "roles:\n  chat: [lost]", "mine.yaml:2: roles.chat.0: there is no model"),
        ("models.yaml",
         "models:\n  m:\n    task: chat\n    backend: transformers\n    options:\n      contxt: 3",
         "models.yaml:6: models.m.options.contxt: there is no such option. Did you mean 'context'"),
        ("models.yaml", "models:\n  m:\n    backend: espeak\n    task: image",
         "models.yaml:4: models.m.task: "),
        ("models.yaml", "backends:\n  ollama:\n    tiemout_s: 3",
         "models.yaml:3: backends.ollama.tiemout_s: "),
        ("indexes.yaml", "indexes:\n  i:\n    model: embd",
         "indexes.yaml:3: indexes.i.model: there is no model or role 'embd'. Did you mean 'embed'"),
        ("indexes.yaml", "indexes:\n  i:\n    rerank: chat", "indexes.yaml:3: indexes.i.rerank: "),
        ("indexes.yaml", "indexes:\n  i:\n    folders:\n    - ./nowhere",
         "indexes.yaml:4: indexes.i.folders.0: there is no folder"),
        ("models.yaml", "roles:\n  embed: [reader]",
         "models.yaml:2: roles.embed: role 'embed' has no model for embedding"),
        ("models.yaml", "models:\n  m:\n    task: chatt\n    backend: ollama",
         "models.yaml:3: models.m.task: must be 'chat', "),
        ("models.yaml", "models:\n  m:\n    task: chat", "models.yaml:2: models.m.backend: is req"),
        ("models.yaml", "models:\n  m:\n    device: gpu\n    task: chat\n    backend: espeak",
         "models.yaml:3: models.m.device: use auto, cpu"),
        ("indexes.yaml", "indexes: [docs]", "indexes.yaml:1: indexes: must be a mapping"),
        ("indexes.yaml", "indexes:\n  docs: handbook", "indexes.yaml:2: indexes.docs: must be a m"),
        ("a.yaml", AGENT.replace("save: x", "save: x, timeout_s: true"),
         "a.yaml:4:86: nodes.a.timeout_s: must be a number, not true or false"),
        ("a.yaml", AGENT.replace("save: x", "save: x, retry: {attempts: true}"), "a.yaml:4:"),
        ("indexes.yaml", "indexes:\n  docs:\n    weight: true",
         "indexes.yaml:3: indexes.docs.weight: must be a number, not true or false"),
        ("models.yaml", "models:\n  m: {task: chat, backend: ollama, keep_alive_s: true}",
         "models.yaml:2: models.m.keep_alive_s: must be a number, not true or false"),
        ("indexes.yaml", "indexes:\n  docs:\n    weight: 2", "indexes.yaml:3: indexes.docs.weight"),
        ("a.yaml", "- version: 1\n- name: a", "a.yaml:1:1: an agent is a list of `key: value`"),
        ("motet.yaml", "home: x\nprot: 80", "motet.yaml:2: prot: there is no such setting."),
        ("questions.yaml", "- qestion: What?", "questions.yaml"),
    ],
)  # fmt: skip
def test_problem_is_printed_with_file_line_and_field(
    tmp_path: Path, name: str, text: str, where: str
) -> None:
    file = tmp_path / "files" / name
    file.parent.mkdir()
    file.write_text(text)

    good, said = check(tmp_path / "home", file)

    assert not good
    assert where in said, said
    assert len(said.splitlines()) == 1


def test_files_of_a_folder_are_all_checked(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(AGENT)
    (tmp_path / "worse.yaml").write_text(AGENT.replace("name: good", "name: worse") + "z: 1")
    (tmp_path / ".hidden.yaml").write_text("nothing: good")

    good, said = check(tmp_path / "home", tmp_path)

    assert not good
    assert "good.yaml: agent 'good' is well formed." in said
    assert "worse.yaml:6:4: z: there is no key 'z' here." in said
    assert "hidden" not in said


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("broken.py", "1 / 0", "ZeroDivisionError"),
        ("broken.jsonl", '{"question": "A?", "anser": "B"}', "line 1: anser: "),
    ],
)
def test_file_whose_reader_names_it_is_named_once(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    file = tmp_path / name
    file.write_text(text)

    good, said = check(tmp_path / "home", file)

    assert not good
    assert said.count(name) == 1
    assert problem in said


@pytest.mark.parametrize("name", [".hidden.yaml", "notes.txt"])
def test_folder_without_a_file_to_check_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / name).write_text(AGENT)

    with pytest.raises(NotFound, match="agents' holds no file to check: none ends in"):
        check(tmp_path / "home", folder)


def test_file_of_the_own_agents_must_have_the_name_of_its_agent(tmp_path: Path) -> None:
    own = tmp_path / "home" / "agents" / "other.yaml"
    own.parent.mkdir(parents=True)
    for file, is_good in ((own, False), (tmp_path / "draft.yaml", True)):
        file.write_text(AGENT)
        good, said = check(tmp_path / "home", file)
        assert good is is_good, said
        assert good or "other.yaml: name: the file of agent 'other' must name it so" in said


def test_index_of_the_data_folder_and_own_tools_are_known(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "tools").mkdir(parents=True)
    (home / "tools" / "mine.py").write_text(
        "from tools import tool\n\n@tool\ndef double(x: int) -> int:\n"
        "    'Twice.'\n    return 2 * x\n"
    )
    (home / "indexes.yaml").write_text("indexes: {notes: {}}")
    file = tmp_path / "good.yaml"
    file.write_text(
        "version: 1\nname: good\nnodes:\n"
        "  a: {type: tool, tool: double, arguments: {x: 2}, save: x}\n"
        "  b: {type: retrieve, index: notes, query: q}\n"
        "  c: {type: tool, tool: double, arguments: {x: two}}\noutput: x"
    )

    _, said = check(home, file)

    assert "good.yaml:6:48: nodes.c.arguments.x: does not fit tool 'double'" in said
    assert len(said.splitlines()) == 1


def test_broken_file_of_tools_is_told_where_its_tool_is_missed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "tools").mkdir(parents=True)
    (home / "tools" / "mine.py").write_text("1 / 0")
    file = tmp_path / "good.yaml"
    file.write_text(AGENT.replace("calculate", "double"))

    _, said = check(home, file)

    assert "there is no tool 'double'." in said
    assert "mine.py:1: ZeroDivisionError" in said


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        check(tmp_path, tmp_path / "none.yaml")
