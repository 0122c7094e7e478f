"""Runs the application under uvicorn: on a port until a signal, or on a socket beside a command.

Owns the order of stopping. Runs are drained first, while their streams are open; then uvicorn
waits for the streams, which end by themselves; then `open_services` closes the parts.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import FrameType

import uvicorn

from config.errors import MotetError, Unavailable
from config.files import replace_file
from config.settings import Settings
from models.backends import import_drivers
from server.app import create_app
from server.data_folder import ADDRESS_FILE
from server.http.application import Application
from server.http.protocol import Protocol
from server.services import Services, open_services

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 75
"""Longer than clients and proxies keep a connection; else a request meets one being closed."""
STREAMS_END_S = 5
"""Streams of drained runs have so long to send what is left, before uvicorn closes them."""


class Server(uvicorn.Server):
    """uvicorn's server, but a signal drains the runs first, so that their streams end.

    uvicorn alone would wait for open streams, and the streams for runs that nobody stops. Without
    `listens_to_signals` the signals stay with the command that the server is beside.
    """

    def __init__(
        self, config: uvicorn.Config, services: Services, *, listens_to_signals: bool = True
    ) -> None:
        super().__init__(config)
        self._listens_to_signals = listens_to_signals
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so by `ready`."""
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as uvicorn does, or leave them alone."""
        if not self._listens_to_signals:
            yield
            return
        with super().capture_signals():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, stop at once at the second.

        uvicorn's own method would raise the signal again and end us before all is closed.
        """
        if self._draining:
            self.should_exit = self.force_exit = True
        else:
            # A signal interrupts any line of Python: only the loop may start a task.
            self._loop.call_soon_threadsafe(self._begin_drain)

    def _begin_drain(self) -> None:
        # Two signals may come before the loop runs: one drain answers both.
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="drain")

    async def _drain(self) -> None:
        log.info("stopping: %d runs to drain", self._services.engine.active)
        self._services.indexes.pause()
        try:
            await self._services.engine.close(self._services.settings.drain_s)
            self._services.models.end_events()
        finally:
            self.should_exit = True


async def serve(settings: Settings) -> None:
    """Serve until a signal ends it. Raises `Unavailable` (`address_in_use`) before all else."""
    listening = bind(settings)
    with listening:
        url = local_url(*listening.getsockname()[:2])
        async with open_services(settings) as services:
            app = create_app(services)
            server = Server(_uvicorn_config(app, services), services)
            _freeze_garbage()
            address = settings.home / ADDRESS_FILE
            announcing = asyncio.create_task(
                _announce(server, app, address, url, services), name="ready"
            )
            try:
                await server.serve([listening])
            finally:
                # Ended before the address is removed: else it could be written again behind us.
                announcing.cancel()
                await asyncio.wait([announcing])
                with suppress(OSError):
                    address.unlink(missing_ok=True)


@asynccontextmanager
async def serve_on_socket(settings: Settings, path: Path) -> AsyncIterator[None]:
    """Serve on the Unix socket `path` in this event loop, for as long as the context is open."""
    async with open_services(settings) as services:
        config = _uvicorn_config(create_app(services), services, uds=str(path))
        server = Server(config, services, listens_to_signals=False)
        serving = asyncio.create_task(server.serve(), name="server")
        ready = asyncio.create_task(server.ready.wait())
        # A server that cannot start ends without being ready: waiting for `ready` alone would hang.
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        try:
            yield
        finally:
            await services.engine.close(settings.drain_s)
            services.models.end_events()
            server.should_exit = True
            await serving


def local_url(host: str, port: int) -> str:
    """Say where commands of this machine reach a server that listens on an address.

    All addresses of a machine are named by loopback: `0.0.0.0` as a `Host` is nobody's.
    """
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://{address}:{port}" if address.version == 4 else f"http://[{address}]:{port}"


def _freeze_garbage() -> None:
    """Leave the modules and graphs that live as long as the process out of every collection.

    Scanning them again and again takes a seventh of a small run's CPU.
    """
    gc.collect()
    _freeze_objects()
    gc.set_threshold(10_000, 20, 50)


def _freeze_objects() -> None:
    gc.freeze()
    # A full collection waits until a quarter as many objects are new as the last one has left, and
    # that count still has the frozen ones; this one, of nearly nothing, counts anew.
    gc.collect()


async def _announce(
    server: Server, app: Application, address: Path, url: str, services: Services
) -> None:
    """Wait until the server listens and say where; then start what a service does by itself.

    That is to resume crawls, to watch folders, to import the back ends, and to start the search
    worker, so that the first search need not wait for it.
    """
    await server.ready.wait()
    try:
        await asyncio.to_thread(replace_file, address, url, durable=False)
    except OSError as error:
        log.error("commands do not find this server: %s", error)
    await asyncio.to_thread(app.prepare_routes)
    log.info("Motet is ready at %s (data in %s)", url, address.parent)
    await services.crawler.resume()
    await services.folder_watcher.start()
    # Else the first request that asks about a model imports them, and all wait for the import.
    await asyncio.to_thread(import_drivers)
    _freeze_objects()
    try:
        await services.indexes.warm()
    except MotetError as error:
        log.warning("the indexes are not warm: %s", error)


def _uvicorn_config(app: Application, services: Services, uds: str | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        uds=uds,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        proxy_headers=False,
        timeout_graceful_shutdown=int(services.settings.drain_s) + STREAMS_END_S,
    )


def bind(settings: Settings) -> socket.socket:
    """Bind the port before anything is opened. Raises `Unavailable` (`address_in_use`)."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, or the event loop would not turn off the delay of small packets on it.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise Unavailable(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another "
            "port with --port, or 0 for a free one.",
            code="address_in_use",
        ) from error
    return listening
