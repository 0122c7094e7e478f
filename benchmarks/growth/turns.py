"""A conversation of a thousand turns: CPU and bytes by turn, beside LangGraph alone.

Of Motet the CPU is that of the server process, with HTTP, the run's record and its log; of
LangGraph it is that of this process.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from benchmarks.growth.talking import CHARACTERS, talking
from benchmarks.measure import show, spent_cpu_s
from benchmarks.server import running_server

MARKS = (1, 10, 100, 400, 1000)
WINDOW = 10
"""Turns from each mark on, whose mean is shown; instead of first turns, first ones of threads."""
HEADINGS = ["", *(f"turn {mark}" for mark in MARKS), "1000 / 10"]
STATES = 50
KIB = 1024

Turn = Callable[[str], Awaitable[None]]
"""Makes one turn on the thread with this id."""


async def main() -> None:
    """Print CPU by turn, bytes on disk, and what a page of the thread's history costs."""
    costs: list[list[object]] = []
    sizes: list[list[object]] = []
    for name, agent in (
        ("Motet", "bench_talking"),
        ("Motet, answers with all that was said", "bench_telling"),
    ):
        cost, size = await _motet(agent)
        costs.append([name, *cost])
        sizes.append([name, *size])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "langgraph.db"
        async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
            cost = await _measure(_langgraph_turn(saver), time.process_time, str(uuid4()))
        costs.append(["LangGraph, AsyncSqliteSaver", *cost])
        sizes.append(["LangGraph, AsyncSqliteSaver", *_bytes(file), "", ""])
    cost = await _measure(_langgraph_turn(InMemorySaver()), time.process_time, str(uuid4()))
    costs.append(["LangGraph, in memory", *cost])
    show("CPU of a turn, ms", HEADINGS, costs)
    show(
        f"A thread of {MARKS[-1]} turns, {2 * CHARACTERS} characters each",
        ["", "KiB on disk", "bytes a turn", "page of history, MiB", "its CPU, ms"],
        sizes,
    )


async def _motet(agent: str) -> tuple[list[object], list[object]]:
    thread_id = str(uuid4())
    async with running_server() as server:
        pid = server.process.pid
        async with aiohttp.ClientSession(server.url) as client:
            cost = await _measure(_motet_turn(client, agent), lambda: spent_cpu_s(pid), thread_id)
            before = spent_cpu_s(pid)
            async with client.post(
                f"/threads/{thread_id}/history", json={"limit": STATES}
            ) as response:
                page = await response.read()
            history_ms = (spent_cpu_s(pid) - before) * 1e3
        return cost, [*_bytes(server.home / "runs.db"), len(page) / KIB**2, history_ms]


async def _measure(turn: Turn, cpu_s: Callable[[], float], thread_id: str) -> list[object]:
    async def cost_ms(*thread_ids: str) -> float:
        before = cpu_s()
        for each in thread_ids:
            await turn(each)
        return (cpu_s() - before) * 1e3 / len(thread_ids)

    await cost_ms(*(str(uuid4()) for _ in range(WINDOW)))
    costs = [await cost_ms(*(str(uuid4()) for _ in range(WINDOW)))]
    done = 0
    for mark in MARKS[1:]:
        await cost_ms(*[thread_id] * (mark - 1 - done))
        costs.append(await cost_ms(*[thread_id] * WINDOW))
        done = mark - 1 + WINDOW
    return [*costs, costs[-1] / costs[1]]


def _motet_turn(client: aiohttp.ClientSession, agent: str) -> Turn:
    async def turn(thread_id: str) -> None:
        body = {"input": {}, "thread_id": thread_id, "if_not_exists": "create"}
        async with client.post(f"/agents/{agent}/run", json=body) as response:
            answer = await response.read()
            assert b"run.finished" in answer, answer[-1000:]

    return turn


def _langgraph_turn(saver: Any) -> Turn:
    graph = talking().compile(saver)

    async def turn(thread_id: str) -> None:
        config: Any = {"configurable": {"thread_id": thread_id}}
        async for _ in graph.astream({}, config, stream_mode=["tasks", "values"]):
            pass

    return turn


def _bytes(file: Path) -> list[object]:
    size = sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*"))
    return [size // KIB, size // MARKS[-1]]


if __name__ == "__main__":
    asyncio.run(main())
