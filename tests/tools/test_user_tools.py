from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from textwrap import dedent

import pytest

from config.errors import Invalid, TimedOut, Unavailable
from tests.support.tenants import TENANT
from tools.spec import Tool, ToolContext
from tools.user_code.threads import UserThreads
from tools.user_tools import build_tool, load_user_tools, read_tools, tool

EXCHANGE = '''
    from __future__ import annotations

    import datetime
    from typing import Annotated, Literal

    from pydantic import BaseModel, Field

    from tools import ToolContext, tool


    class Quote(BaseModel):
        amount: float
        day: datetime.date


    @tool(repeatable=True)
    def exchange(
        amount: Annotated[float, Field(gt=0, description="How much.")],
        day: datetime.date,
        currency: Literal["EUR", "USD"] = "EUR",
    ) -> Quote:
        """Convert an amount of money."""
        return Quote(amount=amount * {"EUR": 1, "USD": 2}[currency], day=day)


    @tool(name="who-am-i", timeout_s=5)
    async def who(context: ToolContext) -> list[str]:
        """Tell who calls."""
        return [context.tenant, context.run_id]


    def helper(x):
        return x
'''


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(dedent(text))
    return file


def named(tools: list[Tool]) -> dict[str, Tool]:
    return {tool.name: tool for tool in tools}


def test_the_schema_comes_from_the_signature(tmp_path: Path) -> None:
    file = written(tmp_path, EXCHANGE)
    tools = named(read_tools(file))
    assert list(tools) == ["exchange", "who-am-i"]
    exchange = tools["exchange"]
    assert exchange.description == "Convert an amount of money."
    assert exchange.repeatable is True
    assert exchange.origin == str(file)
    properties = exchange.parameters["properties"]
    assert properties["amount"]["exclusiveMinimum"] == 0
    assert properties["amount"]["description"] == "How much."
    assert properties["day"]["format"] == "date"
    assert properties["currency"]["enum"] == ["EUR", "USD"]
    assert properties["currency"]["default"] == "EUR"
    assert exchange.parameters["required"] == ["amount", "day"]
    assert tools["who-am-i"].parameters["properties"] == {}
    assert tools["who-am-i"].repeatable is False
    assert tools["who-am-i"].timeout_s == 5


async def test_arguments_arrive_in_the_types_of_the_signature(tmp_path: Path) -> None:
    tools = named(read_tools(written(tmp_path, EXCHANGE)))
    given = {"amount": 2, "day": "2026-01-31", "currency": "USD"}
    result = await tools["exchange"].call(given, ToolContext(tenant=TENANT))
    assert result == {"amount": 4.0, "day": "2026-01-31"}


async def test_parameter_annotated_as_context_receives_it(tmp_path: Path) -> None:
    tools = named(read_tools(written(tmp_path, EXCHANGE)))
    assert await tools["who-am-i"].call({}, ToolContext("acme", "run-1")) == ["acme", "run-1"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"day": "2026-01-31"}, "amount"),
        ({"amount": -1, "day": "2026-01-31"}, "amount"),
        ({"amount": 1, "day": "yesterday"}, "day"),
        ({"amount": 1, "day": "2026-01-31", "currency": "GBP"}, "currency"),
        ({"amount": 1, "day": "2026-01-31", "context": {}}, "context"),
    ],
)
async def test_an_argument_that_does_not_fit_is_named(
    tmp_path: Path, arguments: dict[str, object], field: str
) -> None:
    tools = named(read_tools(written(tmp_path, EXCHANGE)))
    with pytest.raises(Invalid) as raised:
        await tools["exchange"].call(arguments, ToolContext(tenant=TENANT))
    assert raised.value.details["field"] == field


def test_a_list_of_tools_decides_alone(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '''
        from tools import Tool, tool

        @tool
        def unlisted() -> int:
            """Not listed."""
            return 0

        def plain(text: str) -> str:
            """Give it back."""
            return text

        async def run(arguments, context):
            return arguments

        whole = Tool("whole", "As it is.", {"type": "object"}, run, repeatable=True)
        TOOLS = [plain, whole]
        ''',
    )
    tools = named(read_tools(file))
    assert list(tools) == ["plain", "whole"]
    assert tools["whole"].origin == str(file)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = 1\ndef broken(:\n", 2, "SyntaxError"),
        ("x = 1\n\nimport no_such_module_here\n", 3, "ModuleNotFoundError"),
        ("def inner():\n    return 1 / 0\ninner()\n", 2, "ZeroDivisionError"),
        ("raise SystemExit(3)\n", 1, "SystemExit"),
        ("x = 1\n", None, "has no tools"),
        ("TOOLS = []\n", None, "has no tools"),
        ("TOOLS = 'all'\n", None, "has no tools"),
        ("TOOLS = [3]\n", None, "neither a function nor a Tool"),
        ("\ndef f(x: int): return x\nTOOLS = [f]\n", 2, "needs a docstring"),
        ("def f(x):\n    'Doc.'\nTOOLS = [f]\n", 1, "give 'x' a name and a type"),
        ("def f(*x: int):\n    'Doc.'\nTOOLS = [f]\n", 1, "give 'x' a name and a type"),
        ("def f(x: 'Nowhere'):\n    'Doc.'\nTOOLS = [f]\n", 1, "signature that cannot be read"),
        ("def f(x: open):\n    'Doc.'\nTOOLS = [f]\n", 1, "signature that cannot be read"),
        ("def f():\n    'Doc.'\nf.__name__ = 'two words'\nTOOLS = [f]\n", 1, "cannot name a tool"),
    ],
)
def test_broken_tool_file_is_refused_with_file_and_line(
    tmp_path: Path, text: str, line: int | None, message: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(Invalid, match=re.escape(message)) as raised:
        read_tools(file)
    assert raised.value.details["file"] == str(file)
    assert raised.value.details.get("line") == line
    assert raised.value.message.startswith(str(file))


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    written(tmp_path, EXCHANGE)
    written(tmp_path, "1 / 0", "broken.py")
    written(tmp_path, "1 / 0", "_left_alone.py")
    written(tmp_path, "no python", "notes.txt")
    tools, problems = load_user_tools(tmp_path)
    assert [tool.name for tool in tools] == ["exchange", "who-am-i"]
    assert [problem.details["file"] for problem in problems] == [str(tmp_path / "broken.py")]


def test_a_tool_that_is_a_pipe_or_a_folder_holds_nothing_up(tmp_path: Path) -> None:
    written(tmp_path, EXCHANGE)
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()

    tools, problems = load_user_tools(tmp_path)

    assert len(tools) == 2
    assert [Path(problem.details["file"]).name for problem in problems] == ["folder.py", "pipe.py"]


def test_a_folder_that_is_not_there_holds_no_tools(tmp_path: Path) -> None:
    assert load_user_tools(tmp_path / "none") == ([], [])


async def test_a_result_that_json_cannot_hold_is_an_error(tmp_path: Path) -> None:
    text = "def f() -> object:\n    'Doc.'\n    return object()\nTOOLS = [f]\n"
    [tool] = read_tools(written(tmp_path, text))
    with pytest.raises(Invalid, match="JSON"):
        await tool.call({}, ToolContext(tenant=TENANT))


async def test_an_exception_names_tool_and_file(tmp_path: Path) -> None:
    file = written(tmp_path, "def f():\n    'Doc.'\n    return 1 / 0\nTOOLS = [f]\n")
    [tool] = read_tools(file)
    with pytest.raises(Unavailable, match="ZeroDivisionError") as raised:
        await tool.call({}, ToolContext(tenant=TENANT))
    assert raised.value.details == {"tool": "f", "origin": str(file)}


async def test_blocking_function_is_abandoned_after_its_timeout() -> None:
    from tools.user_tools import build_tool, tool

    release = threading.Event()

    @tool(timeout_s=0.1)
    def stuck() -> bool:
        """Wait."""
        return release.wait(20)

    with pytest.raises(TimedOut):
        await build_tool(stuck, "here", UserThreads()).call({}, ToolContext(tenant=TENANT))
    release.set()


def test_tool_of_ones_own_reads_private_data_unless_it_says_otherwise() -> None:
    @tool
    def plain(x: int) -> int:
        """Do nothing."""
        return x

    @tool(reads="nothing", addresses=["url"])
    def bounded(url: str) -> str:
        """Do nothing."""
        return url

    built = [build_tool(each, "mine.py", UserThreads()) for each in (plain, bounded)]

    assert [(each.reads, each.addresses) for each in built] == [
        ("private", None),
        ("nothing", ("url",)),
    ]
