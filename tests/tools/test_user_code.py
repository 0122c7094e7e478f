"""What functions of users may raise: each is an error of their tool, for its caller alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from config.errors import Invalid, Unavailable
from tests.support.tenants import TENANT
from tools.spec import Tool, ToolContext
from tools.user_code.guard import UserCodeError, call_guarded, describe, run_guarded
from tools.user_tools import load_user_tools, read_tools

EXITS = {
    "import sys; sys.exit(3)": "SystemExit: 3",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise asyncio.CancelledError": "CancelledError",
    "raise StopIteration(1)": "StopIteration",
    "raise StopAsyncIteration": "StopAsyncIteration",
    "raise Odd('x')": "Odd: x",
    "raise BaseExceptionGroup('both', [ValueError('v'), SystemExit(1)])": "SystemExit: 1",
    "raise ExceptionGroup('all', [ValueError('v'), KeyError('k')])": "ValueError: v; KeyError",
    "raise Mute": "Mute, whose text cannot be read",
}
HEAD = """
import asyncio
from typing import Annotated, Any
from pydantic import AfterValidator, BaseModel, model_serializer
from tools import tool

class Odd(BaseException): pass

class Mute(Exception):
    def __str__(self): raise SystemExit(4)
"""


def write_tool(folder: Path, body: str, kind: str = "def") -> Tool:
    file = folder / "mine.py"
    function = f'@tool\n{kind} act():\n    """Act."""\n' + indent(dedent(body), "    ")
    file.write_text(HEAD + function)
    [tool] = read_tools(file)
    return tool


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("statement", EXITS)
async def test_whatever_a_tool_raises_is_its_failure(
    tmp_path: Path, statement: str, kind: str
) -> None:
    tool = write_tool(tmp_path, statement, kind)

    with pytest.raises(Unavailable) as caught:
        await asyncio.wait_for(tool.call({}, ToolContext(tenant=TENANT)), 240)

    assert caught.value.code == "tool_failed"
    assert EXITS[statement] in caught.value.message


async def test_a_tool_that_cancels_its_own_task_fails_alone(tmp_path: Path) -> None:
    tool = write_tool(
        tmp_path, "asyncio.current_task().cancel()\nawait asyncio.sleep(9)", "async def"
    )

    with pytest.raises(Unavailable, match="CancelledError"):
        await tool.call({}, ToolContext(tenant=TENANT))


async def test_a_validator_of_an_argument_that_exits_fails_its_tool(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        f"{HEAD}\ndef leave(value): raise SystemExit(5)\n@tool\n"
        'def act(x: Annotated[int, AfterValidator(leave)]):\n    """Act."""\n'
    )
    [tool] = read_tools(file)

    with pytest.raises(Unavailable, match="SystemExit: 5"):
        await tool.call({"x": 1}, ToolContext(tenant=TENANT))


async def test_a_result_whose_serializer_exits_fails_its_tool(tmp_path: Path) -> None:
    body = """
        class Result(BaseModel):
            @model_serializer
            def write(self): raise SystemExit(6)
        return Result()
    """
    tool = write_tool(tmp_path, body)

    with pytest.raises(Invalid, match="SystemExit: 6"):
        await tool.call({}, ToolContext(tenant=TENANT))


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.exit(1)",
        "raise KeyboardInterrupt",
        "raise BaseExceptionGroup('x', [GeneratorExit()])",
        "class Tools:\n    def __iter__(self): raise SystemExit\nTOOLS = Tools()",
        "class Odd:\n    def __getattr__(self, name): raise SystemExit\nodd = Odd()",
        "import collections.abc as c\n@tool\ndef act(x: c.Callable[[], int]):\n    '''Act.'''",
        "@tool\ndef act(x: 1/0):\n    '''Act.'''",
    ],
)
def test_a_file_that_raises_while_it_is_read_is_a_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.py").write_text(f"from tools import tool\n{text}\n")
    (tmp_path / "good.py").write_text('from tools import tool\n@tool\ndef act():\n    """Act."""\n')

    tools, [problem] = load_user_tools(tmp_path)

    assert [tool.name for tool in tools] == ["act"]
    assert problem.code == "invalid_tool_file"
    assert "bad.py" in problem.message


async def test_a_cancellation_from_outside_passes() -> None:
    begun = asyncio.Event()
    ended = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(run_guarded(work))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_coroutine_that_ignores_its_cancellation_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tools.user_code.guard.outlast_s", lambda: 0.01)
    monkeypatch.setattr("tools.user_code.guard.CLEAN_UP_S", 0.01)
    begun, end = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(run_guarded(stubborn))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert "ignores its cancellation" in caplog.text
    end.set()


async def test_a_timeout_of_the_tools_own_is_its_failure(tmp_path: Path) -> None:
    tool = write_tool(tmp_path, "raise TimeoutError('the far end')")

    with pytest.raises(Unavailable, match="TimeoutError: the far end"):
        await tool.call({}, ToolContext(tenant=TENANT))


@pytest.mark.parametrize("call", [call_guarded, lambda function: asyncio.run(_async(function))])
def test_an_ordinary_exception_stays_itself(call: Callable[[Callable[[], None]], None]) -> None:
    error = ValueError("mine")

    def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        call(fail)
    assert caught.value is error


def test_a_large_group_is_told_in_part() -> None:
    group = ExceptionGroup("all", [ValueError(str(number)) for number in range(9)])

    assert describe(group).endswith("ValueError: 4; and 4 more")
    assert describe(UserCodeError("as it is")) == "as it is"


async def _async(function: Callable[[], None]) -> None:
    async def work() -> None:
        function()

    guarded: Awaitable[None] = run_guarded(work)
    await guarded
