"""The server's end of a worker: start it, call it, watch it, end it.

Owns the process, its socket and its output. Whether a dead worker is started again is
`supervised`'s and the scheduler's business. Invariants: `exited` completes once and says how the
process ended; every call ends with an answer or an error, at the latest when the process has
ended; when `stop` returns its memory is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from config.errors import MotetError, Unavailable
from models.workers import errors
from models.workers.calls import Calls, PendingCall, Reply
from models.workers.confinement import NO_NETWORK, Confinement
from models.workers.launch import (
    EXIT_S,
    LAST_WORDS_S,
    ExitInfo,
    LastLines,
    Launched,
    describe_exit,
    kill_group,
    launch,
    log_failure,
)
from models.workers.memory_kills import count_memory_kills
from models.workers.protocol import Frame, error_from, read_frame

__all__ = ["ExitInfo", "Reply", "WorkerProcess"]

log = logging.getLogger(__name__)


class WorkerProcess:
    """A running worker. `stop` it; it also ends when this process does, however that ends."""

    def __init__(self, name: str, launched: Launched) -> None:
        self.name = name
        self.memory: dict[str, int] = {"ram_bytes": 0}
        self.exited: asyncio.Future[ExitInfo] = asyncio.get_running_loop().create_future()
        self._process = launched.process
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._lines = LastLines(f"worker {name}")
        self._calls = Calls(self._write)
        self._numbers = itertools.count(1)
        self._ready = PendingCall()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ram_bytes(self) -> int:
        return self.memory["ram_bytes"]

    @property
    def stderr(self) -> list[str]:
        """The last lines the worker printed."""
        return list(self._lines)

    @classmethod
    async def start(
        cls,
        target: str,
        *,
        name: str,
        options: dict[str, Any],
        threads: int | None = None,
        env: Mapping[str, str] | None = None,
        start_timeout_s: float = 60.0,
        launched: Launched | None = None,
        confinement: Confinement = NO_NETWORK,
    ) -> WorkerProcess:
        """Start `target` ("package.module:Class") and wait until it is built.

        `threads` bounds the numeric libraries' thread pools. Of the server's environment it gets
        what `environment` allows, and `env`. `confinement` says what it may not do. `launched` is a
        process with the same threads and environment that waits to be one, and is this worker's
        from now on.

        Raises `Unavailable` ("worker_start_failed", "worker_died", "out_of_memory" when the kernel
        killed it for want of memory, or what the handler's `__init__` raised) or `TimedOut`;
        nothing is left running then, nor when the caller is cancelled.
        """
        memory_kills = count_memory_kills()
        launched = launched or await launch(name, threads, env)
        worker = cls(name, launched)
        try:
            await worker._connect(launched)
            await worker._initialise(target, options, start_timeout_s, confinement)
        except BaseException as error:
            await worker.stop(grace_s=0)
            if isinstance(error, Unavailable):
                if worker._was_killed_for_memory(memory_kills):
                    raise errors.out_of_memory(name, worker.stderr) from error
                # What it printed last may have come after its error.
                error.details["stderr"] = worker.stderr
            raise
        return worker

    async def call(
        self,
        method: str,
        header: Mapping[str, Any] | None = None,
        body: bytes = b"",
        *,
        urgent: bool = False,
        timeout_s: float | None = None,
    ) -> Reply:
        """Ask the handler, and return its answer.

        Raises what the handler raised, `Unavailable` ("worker_died", "worker_stopped"), `Busy`
        or `TimedOut`. Cancelling this, or a timeout, tells the worker to give the request up.
        """
        request = self._request(method, header, body, urgent)
        with self._timeout_explained(method, timeout_s):
            async with asyncio.timeout(timeout_s):
                async with self._open(request, parts_wanted=False) as call:
                    return await call.get()

    async def stream(
        self,
        method: str,
        header: Mapping[str, Any] | None = None,
        body: bytes = b"",
        *,
        urgent: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Reply, None]:
        """Yield each piece the handler emits, then its answer (`last` is True).

        `timeout_s` bounds the wait for each. Close the iterator (`contextlib.aclosing`) to give
        the request up early. Raises as `call` does.
        """
        request = self._request(method, header, body, urgent)
        async with self._open(request, parts_wanted=True) as call:
            last = False
            while not last:
                with self._timeout_explained(method, timeout_s):
                    async with asyncio.timeout(timeout_s):
                        reply = await call.get()
                last = reply.last
                yield reply

    async def stop(self, grace_s: float = 2.0) -> None:
        """End the worker: let the running request finish for `grace_s`, then kill its group.

        Safe to call again and after it died. When this returns its memory is free.
        """
        self._stopping = True
        self._fail_calls()
        try:
            if grace_s > 0 and not self.exited.done():
                self._write(Frame("stop"))
                await asyncio.wait([self.exited], timeout=grace_s)
        finally:
            # Killed before anything is awaited, so that a cancelled stop still ends it.
            self.kill()
        await asyncio.wait([self.exited], timeout=EXIT_S)
        await asyncio.wait(self._tasks, timeout=EXIT_S)

    def kill(self) -> None:
        """End the worker and what it started, now."""
        if not self.exited.done():
            kill_group(self.pid)

    async def _connect(self, launched: Launched) -> None:
        try:
            lines = asyncio.StreamReader()
            pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(lines), launched.output
            )
            self._spawn(self._collect_lines(lines, pipe), "output")
            self._reader, self._writer = await asyncio.open_connection(
                sock=launched.connection, limit=2**20
            )
            self._spawn(self._read_replies(), "replies")
        except BaseException:
            launched.close()
            raise
        finally:
            self._spawn(self._watch_exit(), "exit")

    async def _initialise(
        self, target: str, options: dict[str, Any], timeout_s: float, confinement: Confinement
    ) -> None:
        header = {"target": target, "options": options, "confinement": asdict(confinement)}
        self._write(Frame("init", header=header))
        try:
            async with asyncio.timeout(timeout_s):
                self.memory = (await self._ready.get()).header
        except TimeoutError as error:
            raise errors.start_timed_out(self.name, timeout_s, self.stderr) from error

    def _was_killed_for_memory(self, kills_before: int) -> bool:
        killed = self.exited.done() and self.exited.result().returncode == -signal.SIGKILL
        return killed and count_memory_kills() > kills_before

    def _spawn(self, work: Any, what: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=f"worker {self.name}: {what}")
        task.add_done_callback(log_failure)
        self._tasks.append(task)

    def _request(
        self, method: str, header: Mapping[str, Any] | None, body: bytes, urgent: bool
    ) -> Frame:
        return Frame("call", next(self._numbers), method, urgent, dict(header or {}), body)

    @contextlib.asynccontextmanager
    async def _open(self, request: Frame, parts_wanted: bool) -> AsyncIterator[PendingCall]:
        if self._stopping or self.exited.done():
            raise self._ended_error()
        call = self._calls.open(request, parts_wanted)
        try:
            # A closed connection is not an error here: the exit follows, and it says more.
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
            yield call
        finally:
            self._calls.close(request.id)

    def _write(self, frame: Frame) -> None:
        if self._writer.is_closing():
            return  # the exit follows, and fails every open call
        # Both writes happen without an await between them: frames never interleave.
        self._writer.write(frame.head())
        if frame.body:
            self._writer.write(frame.body)

    async def _read_replies(self) -> None:
        try:
            while frame := await read_frame(self._reader):
                self._receive(frame)
        finally:
            # Without a connection the worker is of no use, whatever it may still be doing.
            self.kill()
            self._writer.close()

    def _receive(self, frame: Frame) -> None:
        if frame.kind == "heartbeat":
            self.memory = frame.header
            return
        answer: Reply | MotetError
        if frame.kind == "error":
            answer = self._error(frame)
        else:
            answer = Reply(frame.header, frame.body, last=frame.kind != "part")
        if frame.id == 0:
            self._ready.put(answer)
        else:
            self._calls.receive(frame, answer)

    def _error(self, frame: Frame) -> MotetError:
        error = error_from(frame.header)
        if isinstance(error, Unavailable):
            error.details.setdefault("worker", self.name)
            error.details.setdefault("stderr", self.stderr)
        return error

    async def _collect_lines(
        self, lines: asyncio.StreamReader, pipe: asyncio.ReadTransport
    ) -> None:
        try:
            await self._lines.collect(lines)
        finally:
            pipe.close()

    async def _watch_exit(self) -> None:
        returncode = await self._process.wait()
        # Its children share its output and its memory: they go too.
        kill_group(self.pid)
        await self._end_readers()
        if not self._stopping:
            log.warning("worker %s ended: %s", self.name, describe_exit(returncode))
        # In this order: a call that fails now finds the exit status for its message.
        self.exited.set_result(ExitInfo(returncode, tuple(self._lines)))
        self._fail_calls()

    async def _end_readers(self) -> None:
        readers = [task for task in self._tasks if task is not asyncio.current_task()]
        if readers:
            # What it said last is still in the pipes; but a child that left the group may hold
            # them open for ever.
            _, stuck = await asyncio.wait(readers, timeout=LAST_WORDS_S)
            for task in stuck:
                task.cancel()

    def _fail_calls(self) -> None:
        self._calls.fail(self._ended_error)
        self._ready.put(self._ended_error())

    def _ended_error(self) -> MotetError:
        if self._stopping:
            return errors.stopped(self.name)
        returncode = self.exited.result().returncode if self.exited.done() else None
        return errors.died(self.name, returncode, self.stderr)

    @contextlib.contextmanager
    def _timeout_explained(self, method: str, timeout_s: float | None) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise errors.call_timed_out(self.name, method, timeout_s, self.stderr) from error
