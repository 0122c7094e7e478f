"""A worker process, real, from the server's side."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import psutil
import pytest

from config.errors import Busy, Invalid, TimedOut, Unavailable
from models.workers.process import WorkerProcess

TARGET = "tests.support.worker_handler:Recorder"
BOUND_S = 120.0


async def start(**options: Any) -> WorkerProcess:
    return await WorkerProcess.start(TARGET, name="test", options=options, threads=1)


@pytest.fixture
async def worker() -> AsyncIterator[WorkerProcess]:
    worker = await start()
    yield worker
    await worker.stop(grace_s=0)


async def running(worker: WorkerProcess, method: str) -> tuple[Any, Any]:
    """A stream of `method` that the worker has certainly begun."""
    stream = worker.stream(method, timeout_s=BOUND_S)
    first = await anext(stream)
    assert first.header == {"running": True}
    return stream, first


async def test_a_call_returns_header_and_body(worker: WorkerProcess) -> None:
    reply = await worker.call("echo", {"text": "héllo"}, b"\0\xff", timeout_s=BOUND_S)
    assert (reply.header, reply.body) == ({"text": "héllo"}, b"\0\xff")
    assert worker.ram_bytes > 2**20


async def test_big_bodies_cross_unchanged(worker: WorkerProcess) -> None:
    body = os.urandom(2**20) * 24
    replies = await asyncio.gather(*(worker.call("echo", {}, body) for _ in range(3)))
    assert all(reply.body == body for reply in replies)


async def test_a_stream_yields_each_piece_then_the_answer(worker: WorkerProcess) -> None:
    pieces = [piece async for piece in worker.stream("count", {"to": 3})]
    assert [piece.header for piece in pieces[:-1]] == [{"number": n} for n in range(3)]
    assert [piece.body for piece in pieces[:-1]] == [b"", b"x", b"xx"]
    assert pieces[-1].last
    assert pieces[-1].header == {"counted": 3}


async def test_urgent_requests_overtake_waiting_ones(worker: WorkerProcess) -> None:
    stream, _ = await running(worker, "wait")
    slow = [asyncio.create_task(worker.call("echo", {"name": f"bulk {n}"})) for n in range(3)]
    await asyncio.sleep(0)
    urgent = asyncio.create_task(worker.call("echo", {"name": "query"}, urgent=True))
    await asyncio.sleep(0)
    await stream.aclose()
    await asyncio.wait_for(asyncio.gather(*slow, urgent), BOUND_S)
    calls = (await worker.call("order")).header["calls"]
    assert calls == ["wait", "query", "bulk 0", "bulk 1", "bulk 2", "order"]


async def test_waiting_requests_of_a_batched_method_are_answered_together(
    worker: WorkerProcess,
) -> None:
    stream, _ = await running(worker, "wait")
    sums = [asyncio.create_task(worker.call("sum", {"numbers": [n, 1]})) for n in range(3)]
    bad = asyncio.create_task(worker.call("sum", {"numbers": []}))
    await asyncio.sleep(0)
    await stream.aclose()
    replies = await asyncio.wait_for(asyncio.gather(*sums), BOUND_S)
    assert [reply.header["sum"] for reply in replies] == [1, 2, 3]
    with pytest.raises(Invalid, match="Nothing to add"):
        await bad
    assert "batch of 4" in (await worker.call("order")).header["calls"]


async def test_cancelling_a_call_tells_the_worker(worker: WorkerProcess) -> None:
    stream, _ = await running(worker, "wait")
    await stream.aclose()
    assert (await worker.call("order", timeout_s=BOUND_S)).header["cancelled"] == 1


async def test_a_cancelled_waiting_request_is_never_run(worker: WorkerProcess) -> None:
    stream, _ = await running(worker, "wait")
    waiting = asyncio.create_task(worker.call("echo", {"name": "cancelled"}))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await stream.aclose()
    assert (await worker.call("order")).header["calls"] == ["wait", "order"]


async def test_a_timeout_gives_the_request_up(worker: WorkerProcess) -> None:
    with pytest.raises(TimedOut, match=r"'wait' within 0\.2 s"):
        await worker.call("wait", timeout_s=0.2)
    assert (await worker.call("order", timeout_s=BOUND_S)).header["cancelled"] == 1


async def test_a_refusal_keeps_its_family_and_details(worker: WorkerProcess) -> None:
    with pytest.raises(Invalid) as caught:
        await worker.call("refuse")
    assert caught.value.code == "unknown_voice"
    assert caught.value.details == {"field": "voice"}


async def test_a_fault_names_its_type_and_leaves_the_worker_running(worker: WorkerProcess) -> None:
    with pytest.raises(Unavailable, match="ZeroDivisionError: a bug") as caught:
        await worker.call("fault")
    assert caught.value.code == "worker_failed"
    with pytest.raises(Unavailable, match="not JSON serializable"):
        await worker.call("no_json")
    assert (await worker.call("echo", {"still": "here"})).header == {"still": "here"}


async def test_a_crash_fails_every_pending_call_with_the_last_lines(worker: WorkerProcess) -> None:
    calls = [asyncio.create_task(worker.call(method)) for method in ("crash", "echo", "echo")]
    await asyncio.wait(calls, timeout=BOUND_S)
    for call in calls:
        error = call.exception()
        assert isinstance(error, Unavailable)
        assert error.code == "worker_died"
        assert "SIGABRT" in error.message
        assert "about to crash" in error.details["stderr"]
        assert any("worker_handler.py" in line for line in error.details["stderr"])
    assert worker.exited.result().returncode == -signal.SIGABRT
    with pytest.raises(Unavailable, match="ended unexpectedly"):
        await worker.call("echo")


async def test_kill_9_in_the_middle_of_a_call_fails_it(worker: WorkerProcess) -> None:
    stream, _ = await running(worker, "hang")
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="SIGKILL"):
        await asyncio.wait_for(anext(stream), BOUND_S)


async def test_stopping_ends_a_hanging_worker_and_its_children() -> None:
    worker = await start()
    child = psutil.Process((await worker.call("spawn")).header["pid"])
    stream, _ = await running(worker, "hang")
    await worker.stop(grace_s=0.1)
    assert worker.exited.result().returncode == -signal.SIGKILL
    with pytest.raises(Unavailable) as caught:
        await anext(stream)
    assert caught.value.code == "worker_stopped"
    _, alive = psutil.wait_procs([child], timeout=BOUND_S)
    assert not alive or alive[0].status() == psutil.STATUS_ZOMBIE
    await worker.stop()


async def test_an_idle_worker_stops_in_peace(worker: WorkerProcess) -> None:
    await worker.stop(grace_s=BOUND_S)
    assert worker.exited.result().returncode == 0


async def test_a_worker_that_cannot_be_built_says_why() -> None:
    with pytest.raises(Invalid, match="file is broken"):
        await start(fail=True)
    with pytest.raises(Unavailable, match="exit status 7") as caught:
        await start(exit=True)
    assert "cannot find libmodel.so" in caught.value.details["stderr"]
    with pytest.raises(Unavailable, match="No module named 'nowhere'"):
        await WorkerProcess.start("nowhere:Nothing", name="test", options={})


def worker_pids() -> set[int]:
    """The workers of this process that live, those of shared fixtures among them."""
    living = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return {p.pid for p in living if "models.workers.host" in p.cmdline()}


async def test_a_start_is_bounded_and_leaves_nothing_running() -> None:
    before = worker_pids()
    with pytest.raises(TimedOut, match="not ready within 1 s"):
        await WorkerProcess.start(TARGET, name="test", options={"hang": True}, start_timeout_s=1)
    assert worker_pids() == before


async def test_a_cancelled_start_leaves_nothing_running() -> None:
    before = worker_pids()
    starting = asyncio.create_task(start(hang=True))
    async with asyncio.timeout(BOUND_S):
        while worker_pids() == before:  # noqa: ASYNC110 - a process that begins tells nobody
            await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting], timeout=BOUND_S)
    assert starting.cancelled()
    assert worker_pids() == before


async def test_threads_and_module_path_are_those_asked_for(worker: WorkerProcess) -> None:
    assert (await worker.call("threads")).header == {"omp": "1", "cwd_in_path": False}


def test_a_worker_dies_with_its_server() -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.orphaning_server"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    worker = psutil.Process(int(server.stdout.readline()))
    server.kill()
    server.wait(BOUND_S)
    server.stdout.close()
    _, alive = psutil.wait_procs([worker], timeout=BOUND_S)
    assert not alive or alive[0].status() == psutil.STATUS_ZOMBIE


async def test_closing_early_ends_the_stream_in_the_worker(worker: WorkerProcess) -> None:
    async with aclosing(worker.stream("count", {"to": 2**40})) as stream:
        async for _ in stream:
            break
    assert (await worker.call("echo", {"a": 1}, timeout_s=BOUND_S)).header == {"a": 1}


async def test_a_stream_nobody_reads_is_ended_before_it_fills_memory(worker: WorkerProcess) -> None:
    async with aclosing(worker.stream("count", {"to": 2**40})) as stream:
        await anext(stream)
        await worker.call("echo", timeout_s=BOUND_S)  # answered only once the other has ended
        with pytest.raises(Busy) as caught:
            async for _ in stream:
                pass
    assert caught.value.code == "stream_overrun"


async def test_workers_leave_no_descriptors_tasks_or_processes_behind() -> None:
    async def cycle() -> None:
        ended, killed = await asyncio.gather(start(), start())
        await ended.call("echo")
        killed.kill()
        await asyncio.wait([killed.exited], timeout=BOUND_S)
        await asyncio.gather(ended.stop(), killed.stop())
        with pytest.raises(Invalid):
            await start(fail=True)

    def left() -> tuple[int, int, int]:
        me = psutil.Process()
        return me.num_fds(), len(me.children()), len(asyncio.all_tasks())

    await cycle()
    before = left()
    for _ in range(3):
        await cycle()
    assert left() == before


async def test_heartbeats_report_the_memory_of_the_worker(worker: WorkerProcess) -> None:
    before = worker.ram_bytes
    await worker.call("grow", {"bytes": 64 * 2**20}, timeout_s=BOUND_S)
    async with asyncio.timeout(BOUND_S):
        while worker.ram_bytes < before + 60 * 2**20:  # noqa: ASYNC110 - a beat is no event
            await asyncio.sleep(0.05)
