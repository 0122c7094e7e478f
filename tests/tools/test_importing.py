"""Files of users whose import never ends: refused in time, and once only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from config.errors import Invalid
from graphs.loading.python_files import read_python_agents
from tools.user_code.guard import UserCodeError
from tools.user_code.importing import import_in_time
from tools.user_code.threads import UserThreads
from tools.user_tools import load_user_tools

ENDLESS = "from gate_of_imports import gate\ngate.wait()\n"
BUILD = """
from langgraph.graph import StateGraph

def build():
    from gate_of_imports import gate
    gate.wait()
"""


@pytest.fixture(autouse=True)
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What endless imports wait for; opened behind the test, so that their threads end."""
    module = ModuleType("gate_of_imports")
    module.gate = threading.Event()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("tools.user_code.importing.IMPORT_TIMEOUT_S", 0.05)
    yield module.gate
    module.gate.set()


def importing(file: Path) -> int:
    return sum(str(file) in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("text", [ENDLESS, BUILD], ids=["import", "build"])
def test_endless_agent_is_a_problem_and_hides_no_other(tmp_path: Path, text: str) -> None:
    (tmp_path / "endless.py").write_text(text)

    agents, problems = read_python_agents(tmp_path, {}, UserThreads())

    assert agents == {}
    (problem,) = problems.values()
    assert "takes longer than" in problem.message
    assert problem.details["file"] == str(tmp_path / "endless.py")


def test_endless_tools_are_a_problem_and_hide_no_others(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    (tmp_path / "fine.py").write_text(
        'from tools import tool\n\n@tool\ndef fine() -> int:\n    """Act."""\n    return 1\n'
    )

    tools, problems = load_user_tools(tmp_path)

    assert [each.name for each in tools] == ["fine"]
    assert [(each.code, "takes longer than" in each.message) for each in problems] == [
        ("invalid_tool_file", True)
    ]


def test_endless_import_is_not_begun_again_while_it_lasts(tmp_path: Path) -> None:
    file = tmp_path / "endless.py"
    file.write_text(ENDLESS)
    for _ in range(3):
        _, (problem,) = load_user_tools(tmp_path)

    assert "still under way" in problem.message
    assert importing(file) == 1


def test_changed_file_is_imported_although_the_old_one_lasts(tmp_path: Path) -> None:
    file = tmp_path / "endless.py"
    file.write_text(ENDLESS)
    read_python_agents(tmp_path, {}, UserThreads())
    file.write_text("raise ValueError('mended')")

    _, problems = read_python_agents(tmp_path, {}, UserThreads())

    assert "mended" in next(iter(problems.values())).message


@pytest.mark.parametrize("error", [ValueError("v"), SystemExit(3), KeyboardInterrupt()])
def test_what_an_import_raises_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        import_in_time("x", fail)


def test_value_of_an_import_is_returned() -> None:
    assert import_in_time("y", lambda: 3) == 3


def test_user_code_error_is_raised_for_one_that_takes_too_long(gate: threading.Event) -> None:
    with pytest.raises(UserCodeError, match="takes longer"):
        import_in_time("z", gate.wait)


def test_invalid_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)

    _, problems = read_python_agents(tmp_path, {}, UserThreads())

    assert all(isinstance(problem, Invalid) for problem in problems.values())
