"""Threads for functions of users: bounded, waited for, never lost sight of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from config.errors import Busy, TimedOut
from tests.support.tenants import TENANT
from tools.spec import Tool, ToolContext
from tools.user_code.ending import IS_RUN_CANCELLED
from tools.user_code.executor import PartedExecutor
from tools.user_code.guard import IN_USER_CODE
from tools.user_code.threads import UserThreads
from tools.user_code.time_limit import TimeLimit, limits_paused
from tools.user_tools import build_tool, tool


class Function:
    """A plain function that says when it has begun, and ends when it may."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        self.begun.release()
        assert self.may_end.wait(20)
        return "done"

    async def wait_begun(self) -> None:
        await asyncio.to_thread(self.begun.acquire)


@pytest.fixture
def slow() -> Iterator[Function]:
    function = Function()
    yield function
    function.may_end.set()


async def test_calls_of_one_function_are_bounded_and_the_others_wait(slow: Function) -> None:
    threads = UserThreads(per_function=2)
    waits: list[int] = []
    calls = [
        asyncio.create_task(threads.call("slow", slow, lambda: waits.append(1))) for _ in range(5)
    ]
    await slow.wait_begun()
    await slow.wait_begun()

    assert (slow.calls, len(waits), len(threads.calls)) == (2, 3, 2)
    assert await threads.call("quick", lambda: "at once") == "at once"
    slow.may_end.set()
    assert await asyncio.gather(*calls) == ["done"] * 5


async def test_all_functions_together_are_bounded(slow: Function) -> None:
    threads = UserThreads(total=1)
    first = asyncio.create_task(threads.call("slow", slow))
    await slow.wait_begun()
    second = asyncio.create_task(threads.call("quick", lambda: 2))

    assert len(threads.calls) == 1
    slow.may_end.set()
    assert (await first, await second) == ("done", 2)


async def test_waiting_for_a_thread_does_not_count_as_working(slow: Function) -> None:
    threads = UserThreads(per_function=1)
    first = asyncio.create_task(threads.call("f", slow))
    await slow.wait_begun()

    async def call_within(seconds: float) -> str:
        async with TimeLimit(seconds):
            return await threads.call("f", slow)

    second = asyncio.create_task(call_within(0.2))
    await asyncio.wait([second], timeout=0.4)  # longer than its limit
    assert not second.done()
    slow.may_end.set()
    assert (await first, await second) == ("done", "done")


async def test_a_limit_goes_on_when_the_wait_is_over() -> None:
    paused = TimeLimit(0.02)

    async def work() -> None:
        async with paused:
            with limits_paused(), limits_paused():
                await asyncio.sleep(0.05)
            assert not paused.expired
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()
    assert paused.expired


async def test_limits_around_one_another_stand_still_together() -> None:
    async with TimeLimit(0.02) as outer, TimeLimit(0.01) as inner:
        with limits_paused():
            await asyncio.sleep(0.05)
    assert (outer.expired, inner.expired) == (False, False)


async def test_a_call_whose_time_is_up_is_left_in_its_thread_and_counted(
    slow: Function, caplog: pytest.LogCaptureFixture
) -> None:
    threads = UserThreads()
    abandoned: list[int] = []
    with pytest.raises(TimeoutError):
        async with TimeLimit(0.01):
            await threads.call("slow", slow, on_abandon=lambda: abandoned.append(1))

    [call] = threads.calls
    assert (call.name, call.abandoned, abandoned) == ("slow", True, [1])
    assert "slow runs on" in caplog.text
    slow.may_end.set()
    await asyncio.wait([call.result], timeout=120)
    assert threads.calls == []
    assert "has ended after" in caplog.text


async def test_a_function_whose_threads_are_all_left_is_refused_in_words(
    slow: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.user_code.threads.MAX_WAIT_BEHIND_ABANDONED_S", 0.01)
    threads = UserThreads(per_function=2)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with TimeLimit(0.01):
                await threads.call("slow", slow)

    with pytest.raises(Busy, match="each of its 2 threads is held") as caught:
        await threads.call("slow", slow)
    assert caught.value.code == "user_code_busy"
    assert slow.calls == 2
    assert await threads.call("quick", lambda: 1) == 1


async def test_a_call_that_was_cancelled_while_it_waited_never_begins(slow: Function) -> None:
    threads = UserThreads(per_function=1)
    first = asyncio.create_task(threads.call("f", slow))
    await slow.wait_begun()
    waiting = asyncio.create_task(threads.call("f", slow))
    await asyncio.wait([waiting], timeout=0.01)
    waiting.cancel()
    await asyncio.wait([waiting])

    slow.may_end.set()
    await first
    assert (waiting.cancelled(), slow.calls) == (True, 1)
    assert await threads.call("f", lambda: "free") == "free"


async def test_a_call_at_work_outlasts_a_cancellation(slow: Function) -> None:
    threads = UserThreads()
    call = asyncio.create_task(threads.call("slow", slow))
    await slow.wait_begun()
    call.cancel()
    await asyncio.wait([call], timeout=0.01)
    call.cancel()

    slow.may_end.set()
    assert await call == "done"


async def test_a_call_of_a_cancelled_run_is_not_waited_for_long(
    slow: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.user_code.ending.OUTLAST_CANCELLED_S", 0.01)
    IS_RUN_CANCELLED.set(lambda: True)
    call = asyncio.create_task(UserThreads().call("slow", slow))
    await slow.wait_begun()
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_tool_tells_of_its_wait_and_of_the_thread_that_it_leaves(slow: Function) -> None:
    @tool(timeout_s=0.05)
    def act() -> str:
        """Act."""
        return slow()

    events: list[dict[str, object]] = []
    built = build_tool(act, "here", UserThreads(per_function=1))
    context = ToolContext(emit=events.append, tenant=TENANT)
    with pytest.raises(TimedOut):
        await built.call({}, context)
    second = asyncio.create_task(built.call({}, context))
    await asyncio.wait([second], timeout=0.1)

    assert [event["motet"] for event in events] == ["warning", "progress"]
    assert (events[0]["code"], events[1]["waits_for"]) == ("function_runs_on", "a thread")
    slow.may_end.set()
    assert await second == "done"


async def test_what_users_hand_to_the_loop_shares_no_thread_with_the_service(
    slow: Function,
) -> None:
    executor = PartedExecutor(user_threads=1)

    async def use(function: Function) -> str:
        IN_USER_CODE.set(True)
        return str(await asyncio.get_running_loop().run_in_executor(executor, function))

    calls = [asyncio.create_task(use(slow)) for _ in range(40)]
    await slow.wait_begun()

    name = executor.submit(lambda: threading.current_thread().name).result(10)
    assert name.startswith("service")
    assert executor.runs_user_code
    assert slow.calls == 1
    slow.may_end.set()
    assert await asyncio.gather(*calls) == ["done"] * 40
    executor.shutdown()


async def test_a_shipped_tool_that_users_call_uses_threads_of_the_service() -> None:
    executor = PartedExecutor()
    IN_USER_CODE.set(True)

    async def run(arguments: dict[str, object], context: ToolContext) -> str:
        loop = asyncio.get_running_loop()
        return str(await loop.run_in_executor(executor, lambda: threading.current_thread().name))

    shipped = Tool("name", "Name the thread.", {"type": "object"}, run, repeatable=True)
    assert (await shipped.call({}, ToolContext(tenant=TENANT))).startswith("service")
    assert IN_USER_CODE.get()
    executor.shutdown()
