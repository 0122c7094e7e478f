"""Workers that are forked off a process which has imported their libraries, once for many loads.

`python -m tests.support.forked_workers FD MODULE` is that process: it imports the module of a
worker's target and forks, for each name that it reads, a worker's process with the two descriptors
that come along. From there on the process is `models.workers.host` as it is. How workers are
started else is what tests/models/workers test.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from models.workers import host
from models.workers.environment import worker_environment
from models.workers.launch import Launched
from models.workers.prewarmed import ENVIRONMENT, PrewarmedWorkers
from models.workers.process import WorkerProcess

MAX_MESSAGE_BYTES = 1024


class ForkedWorker:
    """What is used of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def end(self, returncode: int) -> None:
        self.returncode = returncode
        self._ended.set()


class WorkerFork:
    """The parent of the workers of one module. Get one from `open_fork`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._started: asyncio.Queue[ForkedWorker] = asyncio.Queue()
        self._forking = asyncio.Lock()
        self._running: dict[int, ForkedWorker] = {}

    async def launch(self, name: str) -> Launched:
        """Start a process as `models.workers.launch.launch` does."""
        ours, theirs = socket.socketpair()
        readable, writable = os.pipe()
        async with self._forking:
            socket.send_fds(self._connection, [name.encode()], [theirs.fileno(), writable])
            theirs.close()
            os.close(writable)
            worker = await self._started.get()
        process = cast(asyncio.subprocess.Process, worker)
        return Launched(process, ours, os.fdopen(readable, "rb", 0))

    async def follow(self) -> None:
        """Read which workers have started and ended, until all of them are gone."""
        loop = asyncio.get_running_loop()
        while message := await loop.sock_recv(self._connection, MAX_MESSAGE_BYTES):
            event, *numbers = message.split()
            pid, status = map(int, numbers)
            if event == b"started":
                self._running[pid] = worker = ForkedWorker(pid)
                self._started.put_nowait(worker)
            else:
                self._running.pop(pid).end(status)
        for each in self._running.values():
            each.end(-signal.SIGKILL)


@asynccontextmanager
async def open_fork(module: str) -> AsyncIterator[WorkerFork]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-X", "faulthandler", "-m", __name__),
                *(str(theirs.fileno()), module),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={
                    **worker_environment(),
                    **ENVIRONMENT,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "PYTHONUNBUFFERED": "1",
                    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )
        fork = WorkerFork(ours)
        following = asyncio.create_task(fork.follow(), name=f"fork of {module}")
        try:
            yield fork
        finally:
            process.kill()
            await process.wait()
            await following


class ForkingWorkers(PrewarmedWorkers):
    """Starts workers of a module beside each other out of one process. `close` it."""

    def __init__(self) -> None:
        super().__init__(spare=False)
        self._stack = AsyncExitStack()
        self._forks: dict[str, WorkerFork] = {}

    async def start(
        self, target: str, *, name: str, options: dict[str, Any], start_timeout_s: float = 120.0
    ) -> WorkerProcess:
        module = target.partition(":")[0]
        if module not in self._forks:
            self._forks[module] = await self._stack.enter_async_context(open_fork(module))
        return await WorkerProcess.start(
            target,
            name=name,
            options=options,
            start_timeout_s=start_timeout_s,
            launched=await self._forks[module].launch(name),
        )

    async def close(self) -> None:
        await super().close()
        await self._stack.aclose()


def serve(connection: socket.socket) -> None:
    """Fork a worker for each request. One of our children ends when we do."""

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                connection.send(f"ended {pid} {os.waitstatus_to_exitcode(status)}".encode())

    signal.signal(signal.SIGCHLD, reap)
    while True:
        name, descriptors, _, _ = socket.recv_fds(connection, MAX_MESSAGE_BYTES, 2)
        if not name:
            return
        if not os.fork():
            _be_worker(name.decode(), connection, *descriptors)
        for each in descriptors:
            os.close(each)


def _be_worker(name: str, forker: socket.socket, connection: int, output: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    # Not before there is a group that can be killed, and not after this process may have ended.
    forker.send(f"started {os.getpid()} 0".encode())
    sys.argv = ["host", str(connection), str(os.getppid()), name]
    host.main()


if __name__ == "__main__":
    parent = socket.socket(fileno=int(sys.argv[1]))
    parent.set_inheritable(False)
    importlib.import_module(sys.argv[2])
    serve(parent)
