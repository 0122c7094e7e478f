"""The server's end of a worker: start it, call it, watch it, end it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from config.errors import Busy, MotetError, TimedOut, Unavailable
from models.workers.protocol import Frame, error_from, read_frame

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
MAX_PENDING = 1024
MAX_PARTS = 1024
STDERR_LINES = 40
STDERR_LINE_BYTES = 2000
EXIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or a piece of one (`last` is False)."""

    header: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    last: bool = True


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How a worker ended: a negative `returncode` is the signal that ended it."""

    returncode: int
    stderr: tuple[str, ...]


class _Pending:
    """One call in flight: its pieces, then its end or its error."""

    def __init__(self, parts_wanted: bool) -> None:
        self.parts_wanted = parts_wanted
        self._arrived: deque[Reply | MotetError] = deque()
        self._wake = asyncio.Event()

    def put(self, item: Reply | MotetError) -> None:
        self._arrived.append(item)
        self._wake.set()

    def overrun(self) -> bool:
        return len(self._arrived) >= MAX_PARTS

    async def get(self) -> Reply:
        while not self._arrived:
            self._wake.clear()
            await self._wake.wait()
        item = self._arrived.popleft()
        if isinstance(item, MotetError):
            raise item
        return item


class WorkerProcess:
    """A running worker. `stop` it; it also ends when this process does, however that ends."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.rss_bytes = 0
        self.exited: asyncio.Future[ExitInfo] = asyncio.get_running_loop().create_future()
        self._process = process
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._pending: dict[int, _Pending] = {}
        self._ids = itertools.count(1)
        self._ready = _Pending(parts_wanted=False)
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> list[str]:
        """The last lines the worker printed."""
        return list(self._stderr)

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
    ) -> WorkerProcess:
        """Start `target` ("package.module:Class") and wait until it is built.

        `threads` bounds the numeric libraries' thread pools. Raises `Unavailable`
        ("worker_start_failed", or what the handler's `__init__` raised) or `TimedOut`; nothing
        is left running then, nor when the caller is cancelled.
        """
        ours, theirs = socket.socketpair()
        readable, writable = os.pipe()
        output = os.fdopen(readable, "rb", 0)
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(theirs.fileno(), name),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writable,
                stderr=writable,
                pass_fds=(theirs.fileno(),),
                env=_environment(threads, env),
                start_new_session=True,
            )
        except BaseException as error:
            ours.close()
            output.close()
            if isinstance(error, OSError):
                raise Unavailable(
                    f"The worker '{name}' cannot be started: {error}", code="worker_start_failed"
                ) from error
            raise
        finally:
            theirs.close()
            os.close(writable)
        worker = cls(name, process)
        try:
            await worker._connect(ours, output)
            await worker._initialise(target, options, start_timeout_s)
        except BaseException:
            await worker.stop(grace_s=0)
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
        """The handler's answer.

        Raises what the handler raised, `Unavailable` ("worker_died", "worker_stopped"), `Busy`
        or `TimedOut`. Cancelling this, or a timeout, tells the worker to give the request up.
        """
        request = self._frame(method, header, body, urgent)
        try:
            async with asyncio.timeout(timeout_s):
                async with self._open(request, parts_wanted=False) as pending:
                    return await pending.get()
        except TimeoutError as error:
            raise self._too_slow(method, timeout_s) from error

    async def stream(
        self,
        method: str,
        header: Mapping[str, Any] | None = None,
        body: bytes = b"",
        *,
        urgent: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Reply, None]:
        """Each piece the handler emits, then its answer (`last` is True).

        `timeout_s` bounds the wait for each. Close the iterator (`contextlib.aclosing`) to give
        the request up early. Raises as `call` does.
        """
        request = self._frame(method, header, body, urgent)
        async with self._open(request, parts_wanted=True) as pending:
            last = False
            while not last:
                try:
                    async with asyncio.timeout(timeout_s):
                        reply = await pending.get()
                except TimeoutError as error:
                    raise self._too_slow(method, timeout_s) from error
                last = reply.last
                yield reply

    async def stop(self, grace_s: float = 2.0) -> None:
        """End the worker: let the running request finish for `grace_s`, then kill its group.

        Safe to call again and after it died. When this returns its memory is free.
        """
        self._stopping = True
        self._fail_pending()
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
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _connect(self, connection: socket.socket, output: IO[bytes]) -> None:
        try:
            lines = asyncio.StreamReader()
            pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(lines), output
            )
            self._tasks.append(self._watched(self._collect_stderr(lines, pipe), "stderr"))
            self._reader, self._writer = await asyncio.open_connection(sock=connection, limit=2**20)
            self._tasks.append(self._watched(self._read(), "replies"))
        except BaseException:
            output.close()
            connection.close()
            raise
        finally:
            self._tasks.append(self._watched(self._watch(), "exit"))

    async def _initialise(self, target: str, options: dict[str, Any], timeout_s: float) -> None:
        self._write(Frame("init", header={"target": target, "options": options}))
        try:
            async with asyncio.timeout(timeout_s):
                self.rss_bytes = (await self._ready.get()).header["rss_bytes"]
        except TimeoutError as error:
            raise TimedOut(
                f"The worker '{self.name}' was not ready within {timeout_s:g} s.",
                code="worker_start_timeout",
                details={"stderr": self.stderr},
            ) from error

    def _watched(self, work: Any, what: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name=f"worker {self.name}: {what}")
        task.add_done_callback(_log_failure)
        return task

    def _frame(
        self, method: str, header: Mapping[str, Any] | None, body: bytes, urgent: bool
    ) -> Frame:
        return Frame("call", next(self._ids), method, urgent, dict(header or {}), body)

    @contextlib.asynccontextmanager
    async def _open(self, request: Frame, parts_wanted: bool) -> AsyncIterator[_Pending]:
        if self._stopping or self.exited.done():
            raise self._gone()
        if len(self._pending) >= MAX_PENDING:
            raise Busy(f"The worker '{self.name}' has {MAX_PENDING} requests waiting already.")
        pending = self._pending[request.id] = _Pending(parts_wanted)
        try:
            self._write(request)
            # A closed connection is not an error here: the exit follows, and it says more.
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
            yield pending
        finally:
            if self._pending.pop(request.id, None) and not self.exited.done():
                self._write(Frame("cancel", request.id))

    def _write(self, frame: Frame) -> None:
        # Both writes happen without an await between them: frames never interleave.
        self._writer.write(frame.head())
        if frame.body:
            self._writer.write(frame.body)

    async def _read(self) -> None:
        try:
            while frame := await read_frame(self._reader):
                self._receive(frame)
        finally:
            # Without a connection the worker is of no use, whatever it may still be doing.
            self.kill()
            self._writer.close()

    def _receive(self, frame: Frame) -> None:
        if frame.kind == "heartbeat":
            self.rss_bytes = frame.header["rss_bytes"]
        elif frame.id == 0:
            self._ready.put(
                self._with_stderr(frame) if frame.kind == "error" else Reply(frame.header)
            )
        elif pending := self._pending.get(frame.id):
            self._answer(pending, frame)

    def _answer(self, pending: _Pending, frame: Frame) -> None:
        if frame.kind == "part":
            if pending.parts_wanted and pending.overrun():
                self._pending.pop(frame.id)
                self._write(Frame("cancel", frame.id))
                pending.put(Busy("The reader of this stream is too slow.", code="stream_overrun"))
            elif pending.parts_wanted:
                pending.put(Reply(frame.header, frame.body, last=False))
            return
        self._pending.pop(frame.id)
        ended = frame.kind == "end"
        pending.put(Reply(frame.header, frame.body) if ended else self._with_stderr(frame))

    def _with_stderr(self, frame: Frame) -> MotetError:
        error = error_from(frame.header)
        if isinstance(error, Unavailable):
            error.details.setdefault("worker", self.name)
            error.details.setdefault("stderr", self.stderr)
        return error

    async def _collect_stderr(
        self, lines: asyncio.StreamReader, pipe: asyncio.ReadTransport
    ) -> None:
        try:
            await self._keep_lines(lines)
        finally:
            pipe.close()

    async def _keep_lines(self, lines: asyncio.StreamReader) -> None:
        rest = b""
        while data := await lines.read(2**16):
            *whole, rest = (rest + data).split(b"\n")
            rest = rest[-STDERR_LINE_BYTES:]
            for line in whole:
                self._stderr.append(line[-STDERR_LINE_BYTES:].decode(errors="replace"))
                log.debug("worker %s: %s", self.name, self._stderr[-1])
        if rest:
            self._stderr.append(rest.decode(errors="replace"))

    async def _watch(self) -> None:
        returncode = await self._process.wait()
        # Its children share its output and its memory: they go too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._end_readers()
        if not self._stopping:
            log.warning("worker %s (pid %s) ended: %s", self.name, self.pid, returncode)
        self.exited.set_result(ExitInfo(returncode, tuple(self._stderr)))
        self._fail_pending()

    async def _end_readers(self) -> None:
        readers = [task for task in self._tasks if task is not asyncio.current_task()]
        if readers:
            # What it said last is still in the pipes; but a child that left the group may hold
            # them open for ever.
            _, stuck = await asyncio.wait(readers, timeout=1.0)
            for task in stuck:
                task.cancel()

    def _fail_pending(self) -> None:
        pending, self._pending = self._pending, {}
        for call in [*pending.values(), self._ready]:
            call.put(self._gone())

    def _gone(self) -> MotetError:
        if self._stopping:
            return Unavailable(f"The worker '{self.name}' was stopped.", code="worker_stopped")
        code = self.exited.result().returncode if self.exited.done() else None
        return Unavailable(
            f"The worker '{self.name}' ended unexpectedly ({_how(code)}).",
            code="worker_died",
            details={"worker": self.name, "returncode": code, "stderr": self.stderr},
        )

    def _too_slow(self, method: str, timeout_s: float | None) -> TimedOut:
        return TimedOut(
            f"The worker '{self.name}' did not answer '{method}' within {timeout_s:g} s.",
            details={"worker": self.name, "stderr": self.stderr},
        )


def _command(connection: int, name: str) -> list[str]:
    # -P: modules come from the installation, never from the folder the server was started in.
    start = [sys.executable, "-P", "-X", "faulthandler", "-m", "models.workers.host"]
    return [*start, str(connection), str(os.getpid()), name]


def _environment(threads: int | None, extra: Mapping[str, str] | None) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    if threads is not None:
        for library in ("OMP", "MKL", "OPENBLAS"):
            environment[f"{library}_NUM_THREADS"] = str(threads)
    return environment | dict(extra or {})


def _how(returncode: int | None) -> str:
    if returncode is None:
        return "its connection broke"
    if returncode < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-returncode).name}"
    return f"exit status {returncode}"


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("%s failed", task.get_name(), exc_info=error)
